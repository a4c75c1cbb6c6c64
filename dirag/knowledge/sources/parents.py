"""What readers need of the hierarchy: types by ancestor, and a look at the whole once it is read.

Works on ids alone, ends on circles, and counts what does not fit instead of mending it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from dirag.data import Concept

if TYPE_CHECKING:
    from dirag.knowledge.sources.reading import Rejected

Parents = Mapping[str, tuple[str, ...]]


def checked(concepts: Iterable[Concept], file: str, rejected: Rejected) -> Iterator[Concept]:
    """Yields the concepts but those whose id came before; counts what is wrong with their parents."""
    parents: dict[str, tuple[str, ...]] = {}
    for concept in concepts:
        if concept.id in parents:
            rejected.add("id that was there before (left out)", f"{file}: {concept.id}")
            continue
        parents[concept.id] = concept.parents
        yield concept
    for child, above in parents.items():
        for parent in above:
            if parent not in parents:
                rejected.add("parent that is not there (kept)", f"{file}: {child} under {parent}")
    for child, parent in circles(parents):
        rejected.add("parent that closes a circle (kept)", f"{file}: {child} under {parent}")


def circles(parents: Parents) -> Iterator[tuple[str, str]]:
    """Yields every (child, parent) on the way up whose parent lies on the way already."""
    # A walk with a stack of its own: a chain of parents may be longer than Python's stack is deep.
    done: set[str] = set()
    for start in parents:
        way = {} if start in done else {start: iter(parents[start])}
        while way:
            child = next(reversed(way))
            parent = next(way[child], None)
            if parent is None:
                done.add(child)
                del way[child]
            elif parent in way:
                yield child, parent
            elif parent in parents and parent not in done:
                way[parent] = iter(parents[parent])


def nearest_types(identifier: str, parents: Parents, table: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the types of the nearest ancestors in the table, else that of the prefix of the id."""
    level, visited = [identifier], {identifier}
    while level:
        if types := [table[term] for term in level if term in table]:
            return tuple(dict.fromkeys(types))
        above = dict.fromkeys(parent for term in level for parent in parents.get(term, ()))
        level = [parent for parent in above if parent not in visited]
        visited.update(level)
    prefix = identifier.partition(":")[0]
    return (table[prefix],) if prefix in table else ()
