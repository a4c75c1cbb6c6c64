"""What an adapter is made of: corpora, held-out sentences, a base model, settings; known by its content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dirag.assembly import sources
from dirag.assembly.provenance import provenance
from dirag.config import ADAPTER_WEIGHTS, MODEL, Config
from dirag.files import fingerprint, paths
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
    the run. ``start`` is the folder of an adapter of theirs to begin with. What stands in
    the test splits of ``corpora`` and ``tests`` is not learnt. ``command`` is for the card.
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
        """The name or path of the base model."""
        return self.base or self.config.model or MODEL


@dataclass(frozen=True, slots=True)
class PreparedTraining:
    """What a recipe names, loaded; ``path`` is that of the base model, with its ``sha256``, ``start`` that of
    the adapter to begin with.
    """

    recipe: TrainingSpec
    path: Path
    sha256: str
    start: Path | None
    spelling: TrainingTokenizer
    knowledge: KnowledgeBase | None
    corpora: Sequence[Corpus]
    lessons: TrainingExamples
    held: Sequence[HeldOut]

    def versions(self) -> dict[str, str]:
        return fingerprint.versions("dirag", "torch", "transformers", "peft")


def gather(recipe: TrainingSpec, tell: Callable[[str], None]) -> PreparedTraining:
    """Load everything but the model; what a user should know of it is told."""
    config, data_dir = recipe.config, recipe.data_dir
    path = locate(recipe.model, offline=config.offline)
    spelling = model.spelling(path)
    knowledge = sources.knowledge_base(config) if sources.reads_base(config) else None
    corpora = [Corpus.load(name, config, data_dir=data_dir) for name in recipe.corpora]
    for corpus in corpora:
        for note in corpus.dataset.notes:
            tell(f"{corpus.dataset.name}: {note}")
    lessons = TrainingExamples(
        corpora,
        config,
        knowledge,
        count_tokens=lambda text: len(spelling.prompt(text)),
        tests=validation.tested(corpora, recipe.tests, data_dir=data_dir, offline=config.offline),
    )
    held: list[HeldOut] = []
    if limit := recipe.settings.validate:
        held += validation.held_out(corpora, config, knowledge, limit=limit, data_dir=data_dir, tell=tell)
    start = Path(recipe.start).expanduser() / ADAPTER_WEIGHTS if recipe.start else None
    return PreparedTraining(
        recipe, path, fingerprint.digest(path), start, spelling, knowledge, corpora, lessons, held
    )


def made_of(made: PreparedTraining, *, device: str) -> dict[str, str]:
    """Everything that decides the adapter, by the name under which a user knows it."""
    recipe = made.recipe
    told = provenance(recipe.config, made.knowledge) | made.versions()
    told |= {f"--{name}": str(value) for name, value in asdict(recipe.settings).items()}
    told |= {"base model": made.sha256, "processor": fingerprint.processor(), "device": device}
    told["--start"] = fingerprint.digest(made.start) if made.start else "none"
    told["--threads"] = str(recipe.config.threads or paths.cores())
    told["--dataset"], told["--tests"] = ",".join(recipe.corpora), ",".join(recipe.tests)
    for corpus in made.corpora:
        told[f"corpus {corpus.dataset.name}"] = f"{corpus.pool.manifest.sha256} {', '.join(corpus.types)}"
    for held in made.held:
        sentences = (repr(sentence).encode() for sentence in held.sentences)
        told[f"held-out sentences of {held.name}"] = fingerprint.of(*sentences)
    return told
