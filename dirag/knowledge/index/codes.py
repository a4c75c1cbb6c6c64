"""Concepts by their ids as people write them: in any case, with or without prefix, and codes made complete.

ICD-10-CM completes a code to seven characters, with X in the places between: S72.001B, T14.8XXA. Such codes
are in no list. They are made here from the code that they complete and the ``extensions`` of the nearest
concept that has any: the code itself, or one above it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import takewhile
from operator import eq
from typing import TYPE_CHECKING

from dirag.data import Concept
from dirag.errors import KnowledgeError

if TYPE_CHECKING:
    from dirag.knowledge.store.store import Store

_WHOLE = 7  # characters of a completed code
_UNDOTTED = re.compile(r"[A-Z]\d[0-9A-Z]{2,5}")
_NEAREST = 3


def find(store: Store, code: str) -> list[tuple[int, Concept]]:
    """Returns the concepts of an id, each with its number, or with that of the concept that it completes.

    Where the id is some concept's own, those that have it only as a cross-reference are left out.
    """
    matches: dict[str, tuple[int, Concept]] = {}
    own: set[str] = set()
    for id in _spellings(store, code):
        number = store.number_of(id)
        match = _completed(store, id) if number is None else (number, store.concept(number))
        if match:
            matches.setdefault(match[1].id, match)
            own |= {id} & {match[1].id}
        if own == {code}:
            break  # written as the base has it, it means no other
    return [match for id, match in matches.items() if id in own or not own]


def get(store: Store, code: str) -> tuple[int, Concept]:
    """Returns the one concept of an id; raises KnowledgeError where there is none, or more than one."""
    matches = find(store, code)
    if len(matches) == 1:
        return matches[0]
    if matches:
        ids = ", ".join(concept.id for _, concept in matches)
        raise KnowledgeError(f"{store.folder} has several concepts {code!r}", hint=f"write one of {ids}")
    near = ", ".join(nearest(store, code))
    hint = f"the nearest are {near}" if near else "write ids as `dirag kb search` shows them"
    raise KnowledgeError(f"{store.folder} has no concept {code!r}", hint=hint)


def children(store: Store, number: int) -> list[Concept]:
    """Returns the next narrower concepts; of a code that has none, those that complete it."""
    below = [store.concept(child) for child in store.children(number)]
    concept = store.concept(number)
    prefix, _, local = concept.id.rpartition(":")
    stem = f"{local.replace('.', ''):X<6}"
    return below or [
        _completion(concept, f"{prefix}:{_dotted(stem + character)}", meaning)
        for character, meaning in _extensions(store, number)
    ]


def nearest(store: Store, code: str) -> list[str]:
    """Returns the ids of concepts that begin most like one that is not there."""
    alike: dict[str, tuple[int, float]] = {}
    for id in _spellings(store, code):
        prefix, _, local = id.rpartition(":")
        for other in _neighbours(store, id):
            start, _, rest = other.rpartition(":")
            shared = sum(1 for _ in takewhile(bool, map(eq, local, rest)))
            if start == prefix and shared > 1:
                alike[other] = -shared, -SequenceMatcher(None, local, rest).ratio()
    return sorted(alike, key=lambda id: (alike[id], id))[:_NEAREST]


def _neighbours(store: Store, id: str) -> Iterator[str]:
    """Yields the ids of concepts that stand beside this one in their order, or that it begins with."""
    place = bisect_left(store.ids, id)
    places = range(max(place - _NEAREST, 0), min(place + _NEAREST, len(store.ids)))
    for other in dict.fromkeys((*(store.ids[n] for n in places), *(id[:end] for end in range(len(id))))):
        number = store.number_of(other)
        if number is not None and store.concept(number).id == other:
            yield other
            yield from (concept.id for concept in children(store, number))


def _spellings(store: Store, code: str) -> Iterator[str]:
    """Yields an id in the forms in which the base may have it, as it stands first."""
    yield code
    prefix, colon, local = code.rpartition(":")
    prefixes = [known for known in store.manifest.prefixes if not colon or known.lower() == prefix.lower()]
    forms = dict.fromkeys((local, local.upper(), local.lower(), _dotted(local.upper())))
    for known in prefixes or [prefix.upper()]:
        for form in forms:
            yield f"{known}:{form}"
    if colon:
        yield local


def _dotted(code: str) -> str:
    """Returns a code of ICD-10 with its full stop behind the third character."""
    return f"{code[:3]}.{code[3:]}" if _UNDOTTED.fullmatch(code) else code


def _completed(store: Store, id: str) -> tuple[int, Concept] | None:
    """Returns the concept of a code of seven characters that are not in the base, with its code's number."""
    prefix, _, local = id.rpartition(":")
    code = local.replace(".", "")
    if len(code) != _WHOLE or _dotted(code) != local:
        return None
    number = store.number_of(f"{prefix}:{_dotted(code[:-1].rstrip('X'))}")
    if number is None:
        return None
    return next(((number, concept) for concept in children(store, number) if concept.id == id), None)


def _completion(concept: Concept, id: str, meaning: str) -> Concept:
    return Concept(
        id,
        f"{concept.name}, {meaning}",
        semantic_types=concept.semantic_types,
        source=concept.source,
        parents=(concept.id,),
    )


def _extensions(store: Store, number: int) -> tuple[tuple[str, str], ...]:
    """Returns the characters that complete the code of a concept, by the nearest rule above it."""
    above, seen = [number], {number}
    for concept in above:  # which grows: the nearest come first
        if extensions := store.concept(concept).extensions:
            return extensions
        above += [parent for parent in store.parents(concept) if parent not in seen]
        seen.update(above)
    return ()
