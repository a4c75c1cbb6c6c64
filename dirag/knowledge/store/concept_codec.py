"""Concepts as bytes: a JSON array of their fields in the order of ``Concept``, as in ``concepts.B``."""

from __future__ import annotations

import orjson

from dirag.data import Concept


def dumps(concept: Concept) -> bytes:
    """Writes a concept as one line without its end."""
    # An array, since the names of nine fields would be most of the bytes of a short concept.
    return orjson.dumps(
        (
            concept.id,
            concept.name,
            concept.synonyms,
            concept.semantic_types,
            concept.definition,
            concept.source,
            concept.parents,
            concept.xrefs,
            concept.extensions,
        )
    )


def loads(data: bytes | memoryview) -> Concept:
    """Reads a concept; raises ValueError or TypeError where the bytes are none."""
    id, name, synonyms, types, definition, source, parents, xrefs, extensions = orjson.loads(data)
    return Concept(
        id,
        name,
        tuple(synonyms),
        tuple(types),
        definition,
        source,
        tuple(parents),
        tuple(xrefs),
        tuple((character, meaning) for character, meaning in extensions),
    )
