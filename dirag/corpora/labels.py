"""What the labels of corpora and of token classifiers mean, by the one table ``kb/labels.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache

from dirag.files import paths

#: Stands between a type and the corpus by whose guide alone a label is meant: "symptom@clinical-notes".
OF_CORPUS = "@"


def without_corpus(label: str) -> str:
    """Returns the label without the corpus that it is of."""
    return label.partition(OF_CORPUS)[0]


def type_of(label: str) -> str:
    """Returns the entity type of a label: that of the table, else the label itself in lower case."""
    key = re.sub(r"[^a-z0-9]+", "_", without_corpus(label).lower()).strip("_")
    return _table().get(key, key)


@cache
def _table() -> Mapping[str, str]:
    table: Mapping[str, str] = tomllib.loads(paths.path("kb", "labels.toml").read_text("utf-8"))
    return table
