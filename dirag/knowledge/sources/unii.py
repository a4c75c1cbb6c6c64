"""FDA's UNII names: a table of Name, TYPE, UNII and Display Name, a substance's rows one after the other.

A substance is read if a list of medicines names it: such lists stand in square brackets behind names. Its
names are the display name, the official and brand names, and of the common names those that are words: no
systematic names, codes, impurities or components of mixtures. The file is in capitals, which tell nothing:
names become small letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

from dirag.data import Concept
from dirag.knowledge.sources.opening import lines
from dirag.knowledge.sources.reading import Reading, clean

#: Lists of medicines, and of names for them: Orange and Purple Book, pharmacopoeias, WHO, INN, USAN, VA.
_MEDICINES = re.compile(
    r"\[(?:VANDF|ORANGE BOOK|PURPLE BOOK CDER|WHO-DD|WHO-IP|INN|USAN|JAN|MART\.|(USP|EP) MONOGRAPH|USP-RS)\]$"
)
_LIST = re.compile(r"\s*\[[^\]]*\]$")
_NO_WORDS = re.compile(r"[()<>{};:/,.]|\b(?:COMPONENT|IMPURITY|EXTRACT|ALLERGENIC)\b|\d{3}")
_WORDS = 3  # that a common name has at most
_LEAST = 3  # letters of any name
_NAME, _KIND, _UNII, _DISPLAY = range(4)


def read(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each substance that a list of medicines names."""
    # A million rows: by hand rather than as dicts, and the lists are looked for in the few names that end so.
    for unii, group in groupby(_rows(path, reading), key=itemgetter(_UNII)):
        rows = list(group)
        if any(row[_NAME].endswith("]") and _MEDICINES.search(row[_NAME]) for row in rows):
            display = " ".join(rows[0][_DISPLAY].split()).lower()
            names = [name.lower() for name in _names(rows)]
            yield Concept(f"UNII:{unii}", display, clean(names, display), ("drug",), source=reading.source)


def _rows(path: Path, reading: Reading) -> Iterator[list[str]]:
    for number, line in islice(lines(path, reading.rejected), 1, None):
        row = line.split("\t")
        if len(row) == 4 and all(row):
            yield row
        else:
            reading.rejected.add("row without all fields", f"{path.name}:{number}")


def _names(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for name, kind, *_ in rows:
        # Official, brand and common; the others are systematic names and the codes of firms.
        if kind in ("of", "bn", "cn"):
            name = _LIST.sub("", name)
            short = kind != "cn" or len(name.split()) <= _WORDS
            if short and len(name) >= _LEAST and not _NO_WORDS.search(name):
                yield name
