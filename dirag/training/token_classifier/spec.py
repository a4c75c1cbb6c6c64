"""What a token classifier is trained on and with: corpora, held-out sentences, an encoder, settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from dirag.config import Config
from dirag.encoders.token_pieces import PieceTokenizer
from dirag.errors import UsageError
from dirag.files import fingerprint, libraries
from dirag.files.artifacts import locate
from dirag.training.corpora import TrainingData
from dirag.training.device import precision
from dirag.training.token_classifier.sentences import LabelledSentences
from dirag.training.token_classifier.settings import ClassifierSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierSpec:
    """What to train on, and how; of ``config`` the types, the encoder, the seed and the threads count.

    ``corpora`` are names or paths; the types of those in ``separate`` have labels of their own. Sentences in
    the test splits of ``corpora`` and ``tests`` are left out.
    ``command`` is for the card.
    """

    corpora: Sequence[str]
    config: Config
    settings: ClassifierSettings = field(default_factory=ClassifierSettings)
    separate: Sequence[str] = ()
    tests: Sequence[str] = ()
    data_dir: str | None = None
    command: str = ""


@dataclass(frozen=True, slots=True)
class PreparedClassifier:
    """What a spec names, loaded: all but the encoder, of which there are ``path`` and ``sha256``."""

    spec: ClassifierSpec
    path: Path
    sha256: str
    data: TrainingData
    sentences: LabelledSentences

    @property
    def threads(self) -> int:
        return self.spec.config.threads or libraries.cores()

    def versions(self) -> dict[str, str]:
        return fingerprint.versions("dirag", "torch", "transformers", "tokenizers")

    def provenance(self, *, device: str) -> dict[str, str]:
        """Returns everything that decides the weights, by the name under which a user knows it."""
        spec = self.spec
        result = {f"--{name}": str(value) for name, value in asdict(spec.settings).items()}
        result |= {"--types": ",".join(spec.config.types), "--map": ",".join(spec.config.map)}
        result |= {"--seed": str(spec.config.seed)}
        result |= {"--dataset": ",".join(spec.corpora), "--tests": ",".join(spec.tests)}
        result["--separate"] = ",".join(spec.separate)
        result |= {"encoder": self.sha256, "--threads": str(self.threads), "device": device}
        return result | self.versions() | {"processor": fingerprint.processor()} | self.data.provenance()


def prepare(spec: ClassifierSpec, notify: Callable[[str], None]) -> PreparedClassifier:
    """Loads what a spec names; ``notify`` gets the notices of the corpora as lines."""
    settings = replace(spec.settings, precision=precision(spec.settings.precision))
    spec, config = replace(spec, settings=settings), spec.config
    path = locate(config.encoder, offline=config.offline)
    data = TrainingData.load(
        spec.corpora,
        config,
        tests=spec.tests,
        validate=settings.validate,
        data_dir=spec.data_dir,
        notify=notify,
    )
    if unknown := set(spec.separate) - {corpus.dataset.name for corpus in data.corpora}:
        raise UsageError(
            f"--separate {', '.join(sorted(unknown))} is no corpus of --dataset",
            hint=f"they are {', '.join(corpus.dataset.name for corpus in data.corpora)}",
        )
    sentences = LabelledSentences(
        data.corpora,
        PieceTokenizer.open(path),
        tests=data.tests,
        separate=spec.separate,
        seed=config.seed,
        masked=settings.masked,
        replaced=settings.replaced,
    )
    return PreparedClassifier(spec, path, fingerprint.digest(path), data, sentences)
