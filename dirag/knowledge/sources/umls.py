"""UMLS in Rich Release Format: a folder with MRCONSO, and if there MRSTY, MRDEF, MRREL, MRSAB and MRRANK.

The files are sorted by concept and read side by side, one concept at a time; a file that is not sorted is
refused. Parents are what MRREL calls PAR or ``inverse_isa``; other ids are the codes of the names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from dirag.data import Concept
from dirag.errors import KnowledgeError, unknown
from dirag.knowledge.sources import languages
from dirag.knowledge.sources.detection import umls_files
from dirag.knowledge.sources.identifiers import curies
from dirag.knowledge.sources.opening import lines
from dirag.knowledge.sources.reading import Reading, Rejected, clean

Row = list[str]

#: File -> number of its columns.
_WIDTHS = {"MRCONSO": 18, "MRSTY": 6, "MRDEF": 8, "MRREL": 16, "MRSAB": 25, "MRRANK": 4}
_CUI = re.compile(r"C(L?)(\d{6,7})")
_READ, _CITED = 1, 2


def read(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each CUI with a name that is chosen, in the order of the file."""
    files = umls_files(path)
    if "MRCONSO" not in files:
        raise KnowledgeError(f"{path} holds no MRCONSO.RRF", hint="give the folder of a UMLS release (META)")
    names = _Names(files, reading)
    beside = {name: _Beside(name, files, reading.rejected) for name in ("MRSTY", "MRDEF", "MRREL")}
    marks = _Marks()
    for cui, atoms in groupby(_sorted("MRCONSO", files, reading.rejected), itemgetter(0)):
        marks.add(cui, _READ)
        rows = {name: file.of(cui) for name, file in beside.items()}
        # All four files go on together, whether the concept is taken or not.
        if chosen := names.choose(list(atoms)):
            parents = list(_parents(rows["MRREL"], reading))
            for parent in parents:
                marks.add(parent, _CITED)
            name = " ".join(min(chosen, key=names.rank)[14].split())
            yield Concept(
                f"UMLS:{cui}",
                name,
                clean([row[14] for row in chosen], name),
                tuple(dict.fromkeys(reading.types.umls.get(row[1], row[3]) for row in rows["MRSTY"])),
                names.definition(rows["MRDEF"]),
                reading.source,
                tuple(f"UMLS:{parent}" for parent in dict.fromkeys(parents)),
                curies(
                    (f"{row[11]}:{row[13]}" for row in chosen if row[13] != "NOCODE"),
                    reading.types.prefixes,
                    own="",
                ),
            )
        for row in rows["MRSTY"]:
            if row[1] not in reading.types.umls:
                reading.rejected.add(
                    "semantic type that the type map does not know (kept)", f"{cui}: {row[1]}"
                )
    for file in beside.values():
        file.of("~")  # what is left after the last concept
    for cui in marks.only(_CITED):
        reading.rejected.add("parent that is not there (kept)", f"MRREL.RRF: {cui}")


def _rows(name: str, files: Mapping[str, Path], rejected: Rejected) -> Iterator[tuple[int, Row]]:
    """Yields the rows of a file with their line numbers; none where the file is not there."""
    if name not in files:
        return
    width = _WIDTHS[name]
    for number, line in lines(files[name], rejected):
        fields = line.split("|")
        if len(fields) == width + 1:  # each field is ended by a bar
            yield number, fields
        elif line.strip():
            rejected.add(f"{name} row without exactly {width} fields", f"{files[name].name}:{number}")


def _sorted(name: str, files: Mapping[str, Path], rejected: Rejected) -> Iterator[Row]:
    """Yields the rows of a file that begins with the CUI, in its order; refuses one that is not sorted."""
    last = ""
    for number, fields in _rows(name, files, rejected):
        if not _CUI.fullmatch(fields[0]):
            rejected.add("row without a CUI", f"{files[name].name}:{number}")
            continue
        if fields[0] < last:
            raise KnowledgeError(
                f"{files[name]}:{number} is not sorted by concept: {fields[0]} comes after {last}",
                hint=f"sort it: LC_ALL=C sort -s -t '|' -k 1,1 {name}.RRF",
            )
        last = fields[0]
        yield fields


class _Beside:
    """A file that is read side by side with MRCONSO."""

    def __init__(self, name: str, files: Mapping[str, Path], rejected: Rejected) -> None:
        self._file, self._rejected = f"{name}.RRF", rejected
        self._groups = groupby(_sorted(name, files, rejected), itemgetter(0))
        self._cui = ""
        self._advance()

    def _advance(self) -> None:
        self._cui, rows = next(self._groups, ("~", iter(())))  # "~" sorts behind every CUI
        self._rows = list(rows)

    def of(self, cui: str) -> list[Row]:
        """Returns the rows of a concept; those before it belong to none, and are counted."""
        while self._cui < cui:
            self._rejected.add("row of an unknown concept", f"{self._file}: {self._cui}")
            self._advance()
        if self._cui != cui or cui == "~":
            return []
        rows = self._rows
        self._advance()
        return rows


class _Names:
    """Which names to keep of a concept, and which of them is its own."""

    def __init__(self, files: Mapping[str, Path], reading: Reading) -> None:
        self._choice, self._rejected = reading.choice, reading.rejected
        self._languages = languages.umls(reading.choice.languages)
        self._sources = frozenset(reading.choice.vocabularies)
        ranks = _rows("MRRANK", files, reading.rejected)
        self._ranks = {(row[1], row[2]): int(row[0]) for _, row in ranks if row[0].isdecimal()}
        self._source_languages = {row[3]: row[19] for _, row in _rows("MRSAB", files, reading.rejected)}
        for source in reading.choice.vocabularies:
            if self._source_languages and source not in self._source_languages:
                raise unknown("UMLS source vocabulary", source, self._source_languages)

    def choose(self, atoms: Sequence[Row]) -> list[Row]:
        """Returns the names of a concept in the languages and vocabularies chosen."""
        with_text = [row for row in atoms if row[14].strip()]
        if len(with_text) < len(atoms):
            self._rejected.add("name that is empty", f"MRCONSO.RRF: {atoms[0][0]}")
        return [
            row
            for row in with_text
            if (not self._languages or row[1] in self._languages)
            and (not self._sources or row[11] in self._sources)
            and (self._choice.suppressed or row[16] == "N")
        ]

    def rank(self, row: Row) -> tuple[int, bool, bool, bool, int]:
        """Returns the place of a name: by language, the UMLS's own preference, the rank of the source."""
        language = languages.place(row[1], self._languages) or 0
        return language, row[2] != "P", row[4] != "PF", row[6] != "Y", -self._ranks.get((row[11], row[12]), 0)

    def definition(self, rows: Sequence[Row]) -> str:
        """Returns the first definition by a source in one of the languages, or whose language is unknown."""
        for row in rows:
            language = self._source_languages.get(row[4])
            if (self._choice.suppressed or row[6] == "N") and (
                language is None or languages.place(language, self._languages) is not None
            ):
                return " ".join(row[5].split())
        return ""


def _parents(rows: Sequence[Row], reading: Reading) -> Iterator[str]:
    """Yields the parents of a concept: the second of a row is the first one's, as the UMLS documents REL."""
    for row in rows:
        is_chosen = not reading.choice.vocabularies or row[10] in reading.choice.vocabularies
        if (row[3] == "PAR" or row[7] == "inverse_isa") and is_chosen and row[4] != row[0]:
            if not _CUI.fullmatch(row[4]):
                reading.rejected.add("relation to what is no CUI", f"MRREL.RRF: {row[0]}")
            elif reading.choice.suppressed or row[14] == "N":
                yield row[4]


class _Marks:
    """One byte a CUI: which were read, and which were only named as parents."""

    def __init__(self) -> None:
        # 20 MB, where a set of the millions of ids would take more than ten times as much.
        self._bytes = bytearray(2 * 10**7)  # C0000000 to C9999999, then those of the NCI, CL000000 on

    def add(self, cui: str, mark: int) -> None:
        """Sets a mark of a CUI, beside those that it has."""
        match = _CUI.fullmatch(cui)
        assert match is not None
        self._bytes[(10**7 if match[1] else 0) + int(match[2])] |= mark

    def only(self, mark: int) -> Iterator[str]:
        """Yields the CUIs that have this mark and no other."""
        place = self._bytes.find(mark)
        while place >= 0:
            yield f"CL{place - 10**7:06}" if place >= 10**7 else f"C{place:07}"
            place = self._bytes.find(mark, place + 1)
