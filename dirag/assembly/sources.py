"""What a run reads besides its documents: knowledge base, pool of examples, corpora, entity types."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from pkgutil import resolve_name

from dirag.assembly.choice import tagger_kind
from dirag.config import Config, selector_kind
from dirag.corpora import catalogue, datasets
from dirag.corpora.labels import TABLE, LabelMap
from dirag.errors import ExamplesError, UsageError
from dirag.examples import builtin
from dirag.examples import pool as pools
from dirag.examples.pool import Pool
from dirag.formats import FORMATS
from dirag.knowledge.base import KnowledgeBase, open_default, open_path
from dirag.text.language import Language, english

#: The entity types of the built-in pool, and what the knowledge base is searched for where nothing is said.
DEFAULT_TYPES = ("disease", "symptom", "chemical", "procedure", "test", "gene", "anatomy")


def types_of(config: Config) -> tuple[str, ...]:
    """Returns the entity types that a run looks for: those of the option, else all that its pool has."""
    kind = tagger_kind(config)
    if config.types:
        return config.types
    if kind.types:
        own_types: tuple[str, ...] = resolve_name(kind.types)(config)
        return own_types
    if not kind.pool:
        return DEFAULT_TYPES
    annotated = pool(config).manifest.types
    return (*(t for t in DEFAULT_TYPES if t in annotated), *(t for t in annotated if t not in DEFAULT_TYPES))


def knowledge_base(config: Config) -> KnowledgeBase | None:
    """Opens the knowledge base of the option ``kb``; returns None where it is switched off."""
    return None if config.kb == "none" else read_base(config.kb, offline=config.offline)


def read_base(name_or_path: str, *, offline: bool = False) -> KnowledgeBase:
    """Opens the default knowledge base ("default"), a built one, or that of a vocabulary file."""
    if name_or_path == "default":
        return open_default(offline=offline)
    path = Path(name_or_path).expanduser()
    if not path.exists():
        raise UsageError(f"no knowledge base {name_or_path!r}", hint="give a directory or a vocabulary file")
    return open_path(path)


def language(base: KnowledgeBase | None) -> Language:
    """Returns the language of a run: that of its knowledge base, English where it has none."""
    return base.language if base else english()


@cache
def pool(config: Config) -> Pool:
    """Returns the pool of the option ``pool``, read once."""
    return read_pool(config.pool, offline=config.offline, labels=LabelMap.of(config.map))


def read_pool(
    name_or_path: str, *, data_dir: str | None = None, offline: bool = False, labels: LabelMap = TABLE
) -> Pool:
    """Reads the built-in pool ("default", "auto"), a pool directory, or that of a corpus by name or path."""
    if name_or_path in ("auto", "default"):
        return Pool.from_documents(
            builtin.documents(), sources=["built-in"], licence="Apache-2.0", as_sentences=True
        )
    path = Path(name_or_path).expanduser()
    if pools.is_pool(path):
        return pools.open(path)
    return corpus_pool(name_or_path, data_dir=data_dir, offline=offline, labels=labels)[1]


def corpus_pool(
    name_or_path: str, *, data_dir: str | None = None, offline: bool = False, labels: LabelMap = TABLE
) -> tuple[datasets.Dataset, Pool]:
    """Loads an annotated corpus and makes the pool of its sentences; raises ExamplesError if it has none."""
    dataset, as_sentences = corpus(name_or_path, data_dir=data_dir, offline=offline, labels=labels)
    examples = Pool.from_documents(
        dataset.documents,
        sources=[dataset.name, *dataset.sha256],
        licence=dataset.licence or None,
        as_sentences=as_sentences,
    )
    if not examples.examples:
        raise ExamplesError(f"no example in {name_or_path!r}", hint="give an annotated corpus or a pool")
    return dataset, examples


def corpus(
    name_or_path: str, *, data_dir: str | None = None, offline: bool = False, labels: LabelMap = TABLE
) -> tuple[datasets.Dataset, bool]:
    """Loads an annotated corpus; returns it and whether its documents are sentences already, as in CoNLL."""
    dataset = datasets.load(
        name_or_path, split="train", data_dir=data_dir, offline=offline, in_memory=True, labels=labels
    )
    known = catalogue.known().get(name_or_path)
    if known is not None:
        return dataset, known.format == "conll"
    return dataset, all(name.lower().endswith(FORMATS["conll"]) for name in dataset.sha256)


def reads_base(config: Config) -> bool:
    """Tells whether what a run predicts depends on its knowledge base."""
    kind = tagger_kind(config)
    selecting = config.shots > 0 and selector_kind(config.selector).base
    return kind.base or (kind.prompts and (config.lexicon or config.concepts > 0 or selecting))
