"""What an adapter is trained on and with: corpora, held-out sentences, a base model, settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dirag.assembly import sources
from dirag.assembly.provenance import provenance
from dirag.config import ADAPTER_WEIGHTS, MODEL, Config
from dirag.files import fingerprint, libraries
from dirag.files.artifacts import locate
from dirag.knowledge.base import KnowledgeBase
from dirag.training.adapter import model, validation
from dirag.training.adapter.model import TrainingTokenizer
from dirag.training.adapter.trainer import Settings
from dirag.training.adapter.training_examples import Corpus, TrainingExamples
from dirag.training.adapter.validation import HeldOut


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """What to train on, and how, for the run that ``config`` describes.

    ``corpora`` are names or paths. ``base`` is the name or path of the weights to train, by default those of
    the run; ``start`` is the folder of an adapter of theirs to begin with. Sentences in the test splits of
    ``corpora`` and ``tests`` are left out. ``command`` is for the card.
    """

    corpora: Sequence[str]
    config: Config
    settings: Settings = field(default_factory=Settings)
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
    corpora: Sequence[Corpus]
    training_examples: TrainingExamples
    held_out: Sequence[HeldOut]

    def versions(self) -> dict[str, str]:
        return fingerprint.versions("dirag", "torch", "transformers", "peft")


def prepare(spec: TrainingSpec, notify: Callable[[str], None]) -> PreparedTraining:
    """Loads what a spec names; ``notify`` gets the notices of the corpora as lines."""
    config, data_dir = spec.config, spec.data_dir
    path = locate(spec.model, offline=config.offline)
    tokenizer = model.open_tokenizer(path)
    base = sources.knowledge_base(config) if sources.reads_base(config) else None
    corpora = [Corpus.load(name, config, data_dir=data_dir) for name in spec.corpora]
    for corpus in corpora:
        for notice in corpus.dataset.notes:
            notify(f"{corpus.dataset.name}: {notice}")
    training_examples = TrainingExamples(
        corpora,
        config,
        base,
        count_tokens=lambda text: len(tokenizer.prompt(text)),
        tests=validation.forms_in_tests(corpora, spec.tests, data_dir=data_dir, offline=config.offline),
    )
    held_out: list[HeldOut] = []
    if limit := spec.settings.validate:
        held_out += validation.held_out(corpora, config, base, limit=limit, data_dir=data_dir, notify=notify)
    start = Path(spec.start).expanduser() / ADAPTER_WEIGHTS if spec.start else None
    sha256 = fingerprint.digest(path)
    return PreparedTraining(spec, path, sha256, start, tokenizer, base, corpora, training_examples, held_out)


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
    for corpus in prepared.corpora:
        pool = corpus.pool.manifest
        result[f"corpus {corpus.dataset.name}"] = f"{pool.sha256} {', '.join(corpus.types)}"
    for held_out in prepared.held_out:
        sentences = (repr(sentence).encode() for sentence in held_out.sentences)
        result[f"held-out sentences of {held_out.name}"] = fingerprint.of(*sentences)
    return result
