"""What the labels of corpora and of token classifiers mean, by the one table ``kb/labels.toml``.

Case never counts, nor does the sign between words: "Gene/Protein" is "gene_protein".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from dirag.data import Document
from dirag.errors import UsageError
from dirag.files import paths

#: Stands between a type and the corpus by whose guide alone a label is meant: "symptom@clinical-notes".
OF_CORPUS = "@"


def without_corpus(label: str) -> str:
    """Returns the label without the corpus that it is of."""
    return label.partition(OF_CORPUS)[0]


def type_of(label: str) -> str:
    """Returns the entity type of a label: that of the table, else the label itself in lower case."""
    key = _key(label)
    return _table().get(key, key)


@dataclass(frozen=True, slots=True)
class LabelMap:
    """What the labels of a corpus at a path mean: ``own`` types by label, before those of the table.

    A label in neither is a type of its own, in lower case.
    """

    own: Mapping[str, str]

    @classmethod
    def of(cls, pairs: Iterable[str]) -> LabelMap:
        """Makes the map of pairs LABEL=TYPE; raises UsageError for what is none."""
        own = {}
        for pair in pairs:
            label, _, type_ = pair.rpartition("=")
            if not (_key(label) and type_.strip()):
                raise UsageError(f"--map {pair!r} is no pair", hint="write LABEL=TYPE, as in Drug=chemical")
            own[_key(label)] = type_.strip().lower()
        return cls(own)

    def __call__(self, label: str) -> str:
        """Returns the entity type of a label."""
        # Labels of other alphabets are in no table, and stay what they are.
        key = _key(label)
        return self.own.get(key) or _table().get(key) or label.lower()

    def typed(self, document: Document) -> Document:
        """Returns a document whose entities have the types that their labels mean."""
        return replace(document, entities=tuple(replace(e, type=self(e.type)) for e in document.entities))

    def among(self, wanted: Iterable[str], types: Sequence[str]) -> tuple[list[str], list[str]]:
        """Returns those of a corpus' types that are wanted, by any name, and what is wanted and not there."""
        pairs = [(name, self.one_of(types, name)) for name in wanted]
        there = dict.fromkeys(type_ for _, type_ in pairs if type_ is not None)
        return list(there), [name for name, type_ in pairs if type_ is None]

    def one_of(self, types: Sequence[str], label: str) -> str | None:
        """Returns the one of some types that a label means, whatever its case; None if it is none of them."""
        # Of types that differ in case alone the first is meant.
        by_key = {_key(type_): type_ for type_ in reversed(types)}
        return by_key.get(_key(label)) or by_key.get(_key(self(label)))


TABLE = LabelMap({})


@cache
def _key(label: str) -> str:
    # Kept: a corpus has millions of entities, and a few labels.
    return re.sub(r"[\W_]+", "_", without_corpus(label).lower()).strip("_")


@cache
def _table() -> Mapping[str, str]:
    table: Mapping[str, str] = tomllib.loads(paths.path("kb", "labels.toml").read_text("utf-8"))
    return table
