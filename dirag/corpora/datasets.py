"""Gold corpora: a known name of ``kb/datasets.toml``, or a path to any corpus in a format that is read.

Out comes one split with our type names, its licence, its sha256 and notes on whatever deviates from the
record. Refused: a corpus without entities, and one whose numbers of documents or entities are far from those
on record.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from dirag import formats
from dirag.corpora.catalogue import Known, Split, fetch, find, known
from dirag.corpora.labels import TABLE, LabelMap
from dirag.data import Document, Issue
from dirag.errors import DatasetError, UsageError, unknown
from dirag.files import fingerprint

#: The split names that are taken, with what other sources call them.
SPLITS = {
    "train": ("train", "training"),
    "devel": ("devel", "dev", "development", "valid", "validation"),
    "test": ("test", "testing"),
}
_FAR = 0.1  # a corpus this far from its figures on record is another one


@dataclass(frozen=True, slots=True)
class Documents(Collection[Document]):
    """The documents of a corpus, read from its files anew whenever they are gone through; none is kept."""

    read: Callable[[], Iterator[Document]]
    number: int

    def __iter__(self) -> Iterator[Document]:
        return self.read()

    def __len__(self) -> int:
        return self.number

    def __contains__(self, document: object) -> bool:
        return any(document == other for other in self)


@dataclass(frozen=True, slots=True)
class Dataset:
    """One split of a gold corpus; ``split`` is None where a path says nothing about splits.

    ``sentences``: each document is one sentence already (CoNLL/BIO). ``sha256`` is by file name.
    ``notes`` say, one sentence each, what a reader of the scores should know.
    """

    name: str
    split: str | None
    documents: Collection[Document]
    types: tuple[str, ...]
    sha256: Mapping[str, str]
    licence: str
    source: str
    as_sentences: bool = False
    notes: tuple[str, ...] = ()


def load(
    name_or_path: str,
    *,
    split: str = "test",
    format: str | None = None,
    data_dir: str | None = None,
    offline: bool = False,
    in_memory: bool = False,
    labels: LabelMap = TABLE,
) -> Dataset:
    """Returns a split of a corpus; its documents are read at each iteration, or once and held ``in_memory``.

    A name is looked for in ``data_dir``, ``$DIRAG_DATA`` and the cache, else fetched unless ``offline``.
    Of a path to a folder with entries named after splits, the split's are read; of any other path, all;
    ``format`` says how where the suffix does not, ``labels`` what the labels of its entities mean.
    """
    split = split_name(split)
    if name_or_path in known():
        return _load_known(known()[name_or_path], split, data_dir, offline, in_memory=in_memory)
    path = Path(name_or_path).expanduser()
    if path.exists():
        return _load_path(path, split, format, labels, in_memory=in_memory)
    if path.suffix or len(path.parts) > 1:
        raise DatasetError(
            f"no file or folder {name_or_path!r}", hint=f"known datasets: {', '.join(sorted(known()))}"
        )
    raise unknown("dataset", name_or_path, known())


def split_name(name: str) -> str:
    """Returns our name of a split: ``devel`` for ``dev`` and ``validation``, and so on."""
    for split, names in SPLITS.items():
        if name.lower() in names:
            return split
    raise unknown("split", name, SPLITS)


def sample(documents: Collection[Document], limit: int, *, seed: int = 0) -> tuple[Document, ...]:
    """Draws a seeded sample, in corpus order; a larger one of the same seed holds the smaller."""
    if limit < 1:
        raise UsageError(f"--limit {limit} leaves nothing to score", hint="give at least 1")
    # A shuffle, not random.sample(): its first documents are the same whatever the limit.
    order = list(range(len(documents)))
    random.Random(seed).shuffle(order)
    drawn = frozenset(order[:limit])
    return tuple(document for i, document in enumerate(documents) if i in drawn)


def _load_known(
    corpus: Known, split: str, data_dir: str | None, offline: bool, *, in_memory: bool
) -> Dataset:
    if split not in corpus.splits:
        raise DatasetError(
            f"no split {split!r} of {corpus.name} is on record, only {', '.join(corpus.splits)}",
            hint="give the path of its file in place of the name",
        )
    record, notes = corpus.splits[split], []
    path = find(corpus, record, data_dir)
    if path is None:
        path = fetch(corpus, record, offline)
        notes.append(f"{corpus.name}: fetched {path.name} from {corpus.url}, licence: {corpus.licence}")
    digest = fingerprint.sha256(path)
    documents, survey = _surveyed(partial(_relabelled, path, corpus), in_memory=in_memory)
    notes += [*_deviations(corpus, record, path, digest, survey), *survey.losses()]
    return Dataset(
        name=corpus.name,
        split=split,
        documents=documents,
        types=tuple(dict.fromkeys(corpus.types.values())),
        sha256={path.name: digest},
        licence=corpus.licence,
        source=corpus.home,
        as_sentences=corpus.format == "conll",
        notes=tuple(notes),
    )


def _load_path(path: Path, split: str, format: str | None, labels: LabelMap, *, in_memory: bool) -> Dataset:
    paths, present = _entries(path, split)
    files = formats.files([str(entry) for entry in paths], format=format)
    documents, survey = _surveyed(partial(_typed, files, format, labels), in_memory=in_memory)
    if not survey.entities:
        raise DatasetError(
            f"{str(path)!r} holds no annotated entities in its {survey.documents} documents",
            hint=next(survey.losses(), f"if it is annotated, name its format: {', '.join(formats.FORMATS)}"),
        )
    whole = [file for entry in paths for file in (entry, *sorted(entry.rglob("*"))) if file.is_file()]
    base = path if path.is_dir() else path.parent
    digests = {str(file.relative_to(base)): fingerprint.sha256(file) for file in whole}
    notes = list(survey.losses())
    if path.is_dir() and present is None:
        notes.append(f"{str(path)!r} has no files named after splits, all of it was read")
    return Dataset(
        name=str(path),
        split=present,
        documents=documents,
        types=tuple(sorted(survey.entities)),
        sha256=digests,
        licence="unknown",
        source=str(path),
        as_sentences=all(formats.has_ending(name, formats.FORMATS["conll"]) for name in digests),
        notes=tuple(notes),
    )


def _typed(files: Sequence[str], format: str | None, labels: LabelMap) -> Iterator[Document]:
    """Yields the documents of files with the types that their labels mean."""
    for document in formats.read(files, format=format):
        yield labels.typed(document)


def _entries(path: Path, split: str) -> tuple[list[Path], str | None]:
    """Returns what to read of a path, and which split that is."""
    entries = sorted(path.iterdir()) if path.is_dir() else []
    by_split = {name: [e for e in entries if e.name.lower().split(".")[0] in SPLITS[name]] for name in SPLITS}
    there = [name for name in SPLITS if by_split[name]]
    if there and split not in there:
        raise DatasetError(f"the folder {str(path)!r} has no split {split!r}, only {', '.join(there)}")
    return (by_split[split], split) if there else ([path], None)


def _relabelled(path: Path, corpus: Known) -> Iterator[Document]:
    """Yields the documents with our type names; entities of other labels are left out."""
    types = corpus.types
    for document in formats.read([str(path)], format=corpus.format):
        entities = (replace(e, type=types[e.type]) for e in document.entities if e.type in types)
        yield replace(document, entities=tuple(entities))


@dataclass(slots=True)
class _Survey:
    """The counts of a corpus: documents, entities by type, issues in reading."""

    documents: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    issues: int = 0
    first: Issue | None = None

    def losses(self) -> Iterator[str]:
        if self.first:
            where = f"the first at {self.first.where}: {self.first.code}"
            yield f"{self.issues} issues in reading the gold standard, {where}"


def _surveyed(
    read: Callable[[], Iterator[Document]], *, in_memory: bool
) -> tuple[Collection[Document], _Survey]:
    """Returns the documents, and the counts of a first pass over them."""
    if in_memory:
        documents = tuple(read())
        return documents, _survey(documents)
    survey = _survey(read())
    return Documents(read, survey.documents), survey


def _survey(documents: Iterable[Document]) -> _Survey:
    """Counts what there is in documents, which it does not hold."""
    survey = _Survey()
    for document in documents:
        survey.documents += 1
        survey.entities.update(entity.type for entity in document.entities)
        survey.issues += len(document.issues)
        survey.first = survey.first or next(iter(document.issues), None)
    return survey


def _deviations(corpus: Known, record: Split, path: Path, digest: str, survey: _Survey) -> Iterator[str]:
    """Yields a note for each figure that differs from the record; a far one raises DatasetError."""
    if digest != record.sha256:
        yield f"{path} is another copy of {corpus.name} than the one on record (sha256 {digest})"
    figures = [("documents", survey.documents, record.documents)]
    kinds = dict.fromkeys(corpus.types.values())
    figures += [(f"{kind} entities", survey.entities[kind], record.entities[kind]) for kind in kinds]
    for what, number, expected in figures:
        deviation = f"{path} has {number:,} {what}, not {expected:,} as on record for {corpus.name}"
        if abs(number - expected) > _FAR * expected:
            raise DatasetError(deviation, hint=f"get the corpus on record from {corpus.url}/{record.file}")
        if number != expected:
            yield deviation
