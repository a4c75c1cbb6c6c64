"""What an adapter is trained on and with: corpora, held-out sentences, a base model, settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from dirag.assembly import sources
from dirag.assembly.provenance import provenance
from dirag.config import ADAPTER_WEIGHTS, MODEL, Config
from dirag.files import fingerprint, libraries
from dirag.files.artifacts import locate
from dirag.knowledge.base import KnowledgeBase
from dirag.taggers.weighing import Weigher
from dirag.training.adapter import model, validation
from dirag.training.adapter.model import TrainingTokenizer
from dirag.training.adapter.settings import AdapterSettings
from dirag.training.adapter.training_examples import TrainingExamples
from dirag.training.corpora import TrainingData
from dirag.training.device import precision


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """What to train on, and how, for the run that ``config`` describes.

    ``corpora`` are names or paths. ``base`` is the name or path of the weights to train, by default those of
    the run; ``start`` is the folder of an adapter of theirs to begin with. Sentences in the test splits of
    ``corpora`` and ``tests`` are left out. ``command`` is for the card.
    """

    corpora: Sequence[str]
    config: Config
    settings: AdapterSettings = field(default_factory=AdapterSettings)
    base: str = ""
    start: str = ""
    tests: Sequence[str] = ()
    data_dir: str | None = None
    command: str = ""

    @property
    def model(self) -> str:
        """Returns the name or path of the base model."""
        return self.base or self.config.model or MODEL


@dataclass(frozen=True, slots=True)
class PreparedTraining:
    """What a spec names, loaded: all but the model, of which there are ``path`` and ``sha256``.

    ``start`` is the file of the adapter to begin with.
    """

    spec: TrainingSpec
    path: Path
    sha256: str
    start: Path | None
    tokenizer: TrainingTokenizer
    knowledge: KnowledgeBase | None
    data: TrainingData
    training_examples: TrainingExamples
    weighers: Sequence[Weigher]

    def versions(self) -> dict[str, str]:
        return fingerprint.versions("dirag", "torch", "transformers", "peft")


def prepare(spec: TrainingSpec, notify: Callable[[str], None]) -> PreparedTraining:
    """Loads what a spec names; ``notify`` gets the notices of the corpora as lines."""
    settings = replace(spec.settings, precision=precision(spec.settings.precision))
    spec, config = replace(spec, settings=settings), spec.config
    path = locate(spec.model, offline=config.offline)
    tokenizer = model.open_tokenizer(path)
    base = sources.knowledge_base(config) if sources.reads_base(config) else None
    data = TrainingData.load(
        spec.corpora,
        config,
        tests=spec.tests,
        validate=settings.validate,
        data_dir=spec.data_dir,
        notify=notify,
    )
    training_examples = TrainingExamples(
        data.corpora,
        config,
        base,
        count_tokens=lambda text: len(tokenizer.prompt(text)),
        tests=data.tests,
    )
    weighers = validation.weighers(data.held_out, config, base)
    start = Path(spec.start).expanduser() / ADAPTER_WEIGHTS if spec.start else None
    sha256 = fingerprint.digest(path)
    return PreparedTraining(spec, path, sha256, start, tokenizer, base, data, training_examples, weighers)


def training_provenance(prepared: PreparedTraining, *, device: str) -> dict[str, str]:
    """Returns everything that decides the adapter, by the name under which a user knows it."""
    spec = prepared.spec
    result = provenance(spec.config, prepared.knowledge) | prepared.versions()
    result |= {f"--{name}": str(value) for name, value in asdict(spec.settings).items()}
    result |= {"base model": prepared.sha256, "processor": fingerprint.processor(), "device": device}
    result["--start"] = fingerprint.digest(prepared.start) if prepared.start else "none"
    # Threads and processor too: they decide in which order sums are rounded, and so the last bits.
    result["--threads"] = str(spec.config.threads or libraries.cores())
    result["--dataset"], result["--tests"] = ",".join(spec.corpora), ",".join(spec.tests)
    return result | prepared.data.provenance()
