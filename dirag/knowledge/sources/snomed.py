"""SNOMED CT in Release Format 2, the snapshot: active concepts, descriptions and is-a relationships.

The semantic type is the tag at the end of the fully specified name; the name is the term that the language
reference sets prefer. The tables are joined on disk. Ids of concepts that one has replaced become its own.
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from dirag.data import Concept
from dirag.knowledge.sources import languages
from dirag.knowledge.sources.delimited import tabs
from dirag.knowledge.sources.detection import snomed_files
from dirag.knowledge.sources.reading import Reading, clean

FULLY_SPECIFIED, DEFINITION = 900000000000003001, 900000000000550004
IS_A, PREFERRED, AMERICAN = 116680003, 900000000000548007, 900000000000509007
REPLACED_BY, SAME_AS = 900000000000526001, 900000000000527005

_TAG = re.compile(r"(.*\S)\s*\(([^()]+)\)\s*")
_SCHEMA = """
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
    CREATE TABLE concept (id INTEGER PRIMARY KEY, active INT);
    CREATE TABLE description (id INTEGER PRIMARY KEY, concept INT, language TEXT, kind INT, term TEXT);
    CREATE TABLE preferred (id INT, american INT, PRIMARY KEY (id, american)) WITHOUT ROWID;
    CREATE TABLE parent (id INTEGER PRIMARY KEY, child INT, parent INT);
    CREATE TABLE replaced (old INTEGER PRIMARY KEY, new INT);
"""
_INDEXES = """
    CREATE INDEX by_concept ON description (concept);
    CREATE INDEX by_child ON parent (child);
    CREATE INDEX by_new ON replaced (new);
"""
#: The terms of a concept; the last column is 2 for one preferred in American English, 1 elsewhere, else 0.
_TERMS = """
    SELECT term, language, kind, COALESCE(MAX(american) + 1, 0)
    FROM description LEFT JOIN preferred USING (id)
    WHERE concept = ? GROUP BY id ORDER BY id
"""
_Row = Mapping[str, str]
_Values = Callable[[_Row], "Sequence[int | str] | None"]


def read(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields the active concepts that have a term in the languages chosen, by their ids."""
    with (
        tempfile.TemporaryDirectory(prefix="dirag-snomed-") as scratch,
        closing(sqlite3.connect(Path(scratch) / "rf2.db")) as database,
    ):
        database.executescript(_SCHEMA)
        _load(database, path, reading)
        database.executescript(_INDEXES)  # behind the rows: an index that grows with each is slower
        for (identifier,) in database.execute("SELECT id FROM concept WHERE active ORDER BY id"):
            if concept := _concept(identifier, database, reading):
                yield concept
            else:
                where = f"{path.name}: {identifier}"
                reading.rejected.add("concept without a term in the languages chosen", where)
        orphans = "SELECT id FROM description WHERE concept NOT IN (SELECT id FROM concept) ORDER BY id"
        for (identifier,) in database.execute(orphans):
            reading.rejected.add("description of an unknown concept", f"{path.name}: {identifier}")


def _load(database: sqlite3.Connection, folder: Path, reading: Reading) -> None:
    """Fills the tables with the active rows; of the concepts all, to know the inactive from the unknown."""
    tables: tuple[tuple[str, str, _Values, bool], ...] = (
        ("sct2_Concept_*", "concept", _known, True),
        ("sct2_Description_*", "description", _description, reading.choice.suppressed),
        ("sct2_TextDefinition_*", "description", _description, reading.choice.suppressed),
        ("sct2_Relationship_*", "parent", _is_a, False),
        ("der2_cRefset_*Language*", "preferred", _preferred, False),
        ("der2_cRefset_*Association*", "replaced", _replaced, False),
    )
    for pattern, table, values, inactive in tables:
        width = len(database.execute(f"SELECT * FROM {table}").description)
        insert = f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * width)})"
        for path in snomed_files(folder, pattern):
            for where, row in tabs(path, reading.rejected):
                try:
                    fields = values(row) if inactive or row["active"] == "1" else None
                except (KeyError, ValueError):
                    reading.rejected.add("row without all fields, or with an id that is no number", where)
                    continue
                added = fields is None or database.execute(insert, fields).rowcount
                if not added and table != "preferred":
                    reading.rejected.add("id that was there before (left out)", where)


def _known(row: _Row) -> Sequence[int]:
    return int(row["id"]), row["active"] == "1"


def _description(row: _Row) -> Sequence[int | str]:
    return int(row["id"]), int(row["conceptId"]), row["languageCode"], int(row["typeId"]), row["term"]


def _is_a(row: _Row) -> Sequence[int] | None:
    if int(row["typeId"]) != IS_A:
        return None
    return int(row["id"]), int(row["sourceId"]), int(row["destinationId"])


def _preferred(row: _Row) -> Sequence[int] | None:
    if int(row["acceptabilityId"]) != PREFERRED:
        return None
    return int(row["referencedComponentId"]), int(row["refsetId"]) == AMERICAN


def _replaced(row: _Row) -> Sequence[int] | None:
    if int(row["refsetId"]) not in (REPLACED_BY, SAME_AS):
        return None
    return int(row["referencedComponentId"]), int(row["targetComponentId"])


def _concept(identifier: int, database: sqlite3.Connection, reading: Reading) -> Concept | None:
    ranking = languages.iso(reading.choice.languages)
    terms: list[tuple[tuple[bool, int, int], str]] = []
    tags, definition = [], ""
    for term, language, kind, rank in database.execute(_TERMS, (identifier,)):
        rank_of_language = languages.place(language, ranking)
        if kind == FULLY_SPECIFIED and (match := _TAG.fullmatch(term)):
            term, tag = match.groups()
            tags.append((language != "en", tag))  # English first: the type map knows the English tags
        if rank_of_language is not None and kind == DEFINITION:
            definition = definition or term
        elif rank_of_language is not None:
            terms.append(((kind == FULLY_SPECIFIED, rank_of_language, -rank), " ".join(term.split())))
    if not terms:
        return None
    name = min(terms, key=lambda ranked: ranked[0])[1]
    return Concept(
        f"SNOMEDCT:{identifier}",
        name,
        clean([term for _, term in terms], name),
        (min(tags)[1],) if tags else (),
        definition,
        reading.source,
        _ids(database, "SELECT DISTINCT parent FROM parent WHERE child = ? ORDER BY id", identifier),
        _ids(database, "SELECT old FROM replaced WHERE new = ? ORDER BY old", identifier),
    )


def _ids(database: sqlite3.Connection, query: str, identifier: int) -> tuple[str, ...]:
    return tuple(f"SNOMEDCT:{id}" for (id,) in database.execute(query, (identifier,)))
