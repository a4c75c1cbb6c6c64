"""Several vocabularies as one stream of concepts, those that mean the same merged into one.

Two concepts of different vocabularies are linked where one lists the other's id among its cross-references,
or both have one id. They are merged where the link is one to one between the two vocabularies, and would not
bring two concepts of one vocabulary together; all others stay apart, with their cross-references.

The first vocabulary gives id, name and definition; names of the others become synonyms, their ids become
cross-references; semantic types and parents are united in order, parents under their own ids.
"""

from __future__ import annotations

import tempfile
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import IO

from dirag.data import Concept
from dirag.knowledge.store import concept_codec

_Link = tuple[int, int]  # the numbers of two concepts, the lower first


def merged(vocabularies: Sequence[Iterable[Concept]], *, link: bool = True) -> Iterator[Concept]:
    """Yields the concepts of all vocabularies in order, each read once; without ``link`` none are merged.

    Ids are held in memory, concepts wait on disk.
    """
    if not link or len(vocabularies) < 2:
        yield from chain.from_iterable(vocabularies)
        return
    # Read once into a file: whether a concept is absorbed is known only when the last vocabulary was read.
    with tempfile.TemporaryFile(prefix="dirag-merge-") as stream:
        spool = _Spool(stream)
        for vocabulary in vocabularies:
            spool.add(vocabulary)
        groups = _groups(_links(spool), spool.sources)
        absorbed = {member for group in groups.values() for member in group[1:]}
        for number, concept in enumerate(spool):
            if number not in absorbed:
                others = [spool[member] for member in groups.get(number, [number])[1:]]
                yield _united(concept, others) if others else concept


class _Spool:
    """Concepts on disk, by their number in the order of reading; ``sources`` tells each one's vocabulary."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._starts = stream, array("q")
        self._end = 0
        self.sources = array("i")

    def add(self, concepts: Iterable[Concept]) -> None:
        source = self.sources[-1] + 1 if self.sources else 0
        for concept in concepts:
            self._starts.append(self._end)
            self.sources.append(source)
            self._end += self._stream.write(concept_codec.dumps(concept) + b"\n")

    def __getitem__(self, number: int) -> Concept:
        self._stream.seek(self._starts[number])
        return concept_codec.loads(self._stream.readline())

    def __iter__(self) -> Iterator[Concept]:
        return (self[number] for number in range(len(self._starts)))


def _links(spool: _Spool) -> set[_Link]:
    """Returns every pair of concepts of different vocabularies of which one names the other."""
    owners: defaultdict[str, list[int]] = defaultdict(list)  # the concepts that an id stands for
    for number, concept in enumerate(spool):
        owners[concept.id].append(number)
    links: set[_Link] = set()
    for number, concept in enumerate(spool):
        others = [owner for name in (concept.id, *concept.xrefs) for owner in owners.get(name, ())]
        links.update((min(number, other), max(number, other)) for other in others)
    return {(one, other) for one, other in links if spool.sources[one] != spool.sources[other]}


def _groups(links: Collection[_Link], sources: Sequence[int]) -> dict[int, list[int]]:
    """Returns the concepts to merge, by the first of them; a group has at most one of each vocabulary."""
    partners = Counter(
        place for one, other in links for place in ((one, sources[other]), (other, sources[one]))
    )
    groups: dict[int, list[int]] = {}
    # In a fixed order: of two links that cannot both hold, that of the first vocabularies does.
    for one, other in sorted(links, key=lambda link: (sources[link[0]], sources[link[1]], link)):
        if partners[one, sources[other]] == partners[other, sources[one]] == 1:
            first, second = groups.get(one, [one]), groups.get(other, [other])
            members = sorted({*first, *second})
            # Concepts are numbered vocabulary by vocabulary, so two of one would be neighbours.
            if first is not second and all(sources[a] != sources[b] for a, b in pairwise(members)):
                groups |= dict.fromkeys(members, members)
    return {members[0]: members for members in groups.values()}


def _united(first: Concept, others: Sequence[Concept]) -> Concept:
    """Unites several concepts; the first gives what there can be only one of."""
    every = (first, *others)
    names = dict.fromkeys(name for concept in every for name in (concept.name, *concept.synonyms))
    ids = dict.fromkeys(name for concept in every for name in (concept.id, *concept.xrefs))
    return replace(
        first,
        synonyms=tuple(name for name in names if name != first.name),
        semantic_types=_distinct(concept.semantic_types for concept in every),
        definition=next((concept.definition for concept in every if concept.definition), ""),
        parents=_distinct(concept.parents for concept in every),
        xrefs=tuple(name for name in ids if name != first.id),
        extensions=next((concept.extensions for concept in every if concept.extensions), ()),
    )


def _distinct(values: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(values)))
