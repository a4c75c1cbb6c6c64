"""The names of a knowledge base as training data of an encoder: what to draw near, hold apart, and ask for.

In: an open store. Out: the names of each concept in groups, one group for all that is one name written in
several ways; some of the groups are held out, with every key of theirs, to be asked for afterwards. A batch
depends on the seed and the number of the step only, so training can stop after any step and go on there.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, TypeAlias

from dirag.errors import KnowledgeError
from dirag.text import normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.data import Concept
    from dirag.knowledge.store.store import Store

#: Steps of ``is_a`` that are told apart; concepts that are further from each other are strangers.
FAR = 3
_NAMES = 2  # of a concept in a batch
_NEIGHBOURS = 1  # concepts of like names that come into a batch with each seed
_NEAR = 12  # of the nearest concepts, those from which these are drawn
_SIGNS = re.compile(r"[^\w\s]+")

#: For each name, the concepts of the names that are nearest to it, nearest first.
Neighbours: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[int]]]


@dataclass(frozen=True, slots=True)
class Group:
    """The ways to write one name, and the keys under which these and their variants are filed."""

    names: tuple[str, ...]
    keys: frozenset[int]


@dataclass(frozen=True, slots=True)
class SynonymSplit:
    """``groups`` are the names of each concept to learn from, ``held_out`` names with the concept of each.

    ``searched`` tells of each key whether it is filed for one of these concepts and is not held out.
    """

    groups: Mapping[int, tuple[Group, ...]]
    held_out: tuple[tuple[str, int], ...]
    searched: NDArray[np.bool_]

    @property
    def seeds(self) -> list[tuple[int, int]]:
        """Each group of a concept that has two names or more: concept and place of the group."""
        return [
            (concept, place)
            for concept, groups in self.groups.items()
            if sum(len(group.names) for group in groups) > 1
            for place in range(len(groups))
        ]


@dataclass(frozen=True, slots=True)
class Batch:
    """Names, and the steps of ``is_a`` between the concepts of each two: 0 for synonyms, at most ``FAR``."""

    names: tuple[str, ...]
    steps: NDArray[np.int64]


def draw(store: Store, *, hold_out: float, limit: int | None, seed: int) -> SynonymSplit:
    """The split of a knowledge base, or of as many of its concepts as have ``limit`` names.

    ``hold_out`` is the share of the groups that are held out, among those that can be: a concept keeps its
    preferred name, and a name that other concepts share has no right answer.
    """
    rng = random.Random(f"lessons {seed}")
    groups = {concept: _groups(store, store.concept(concept)) for concept in _some(store, limit, rng)}
    free = [
        (concept, place)
        for concept, own in groups.items()
        for place, group in enumerate(own)
        if place and group.keys and all(set(holders(store, key)) == {concept} for key in group.keys)
    ]
    chosen = set(rng.sample(free, round(hold_out * len(free))))
    kept = {
        concept: tuple(group for place, group in enumerate(own) if (concept, place) not in chosen)
        for concept, own in groups.items()
    }
    asked = tuple((groups[concept][place].names[0], concept) for concept, place in sorted(chosen))
    split = SynonymSplit(kept, asked, _filed(store, chain.from_iterable(kept.values())))
    if not split.seeds:
        raise KnowledgeError(
            f"no concept of {store.folder} has two names",
            hint="name a knowledge base whose concepts have synonyms",
        )
    return split


def batches(
    store: Store, split: SynonymSplit, neighbours: Neighbours, *, size: int, seed: int, start: int = 0
) -> Iterator[Batch]:
    """Batches of about ``size`` names without end, from step ``start`` on: seeds, neighbours and parents."""
    import numpy as np

    seeds, number = split.seeds, seeds_in(size)
    orders: dict[int, NDArray[np.int64]] = {}
    for step in count(start):
        chosen = []
        for place in range(step * number, (step + 1) * number):
            epoch, rest = divmod(place, len(seeds))
            if epoch not in orders:
                orders = {epoch: np.random.default_rng([seed, epoch]).permutation(len(seeds))}
            chosen.append(seeds[orders[epoch][rest]])
        yield _batch(store, split, neighbours, chosen, random.Random(f"batch {seed} {step}"))


def seeds_in(size: int) -> int:
    """How many seeds make a batch of about so many names."""
    return max(1, size // (_NAMES * (1 + _NEIGHBOURS)))


def holders(store: Store, key: int) -> list[int]:
    """The concepts of a key, those whose preferred name it is first."""
    rows = range(store.key_rows[key], store.key_rows[key + 1])
    return list(dict.fromkeys(store.row_concepts[row] for row in rows))


def _some(store: Store, limit: int | None, rng: random.Random) -> list[int]:
    """All concepts, or seeded ones until they have so many names."""
    numbers = list(range(store.manifest.concepts))
    if limit is None:
        return numbers
    rng.shuffle(numbers)
    names = taken = 0
    while taken < len(numbers) and names < limit:
        names += 1 + len(store.concept(numbers[taken]).synonyms)
        taken += 1
    return sorted(numbers[:taken])


def _groups(store: Store, concept: Concept) -> list[Group]:
    """The names of a concept, preferred first; those of the same words in another order are one group."""
    found: list[tuple[list[str], set[tuple[str, ...]], set[int]]] = []
    for name in (concept.name, *concept.synonyms):
        filed = {normalise.key(form) for form in (name, *normalise.variants(name))}
        names, keys = [name], {store.trie.find(key) for key in filed} - {-1}
        words = {tuple(sorted(key)) for key in filed}
        for other in [group for group in found if group[1] & words]:
            found.remove(other)
            names, words, keys = other[0] + names, other[1] | words, other[2] | keys
        found.append((names, words, keys))
    found.sort(key=lambda group: concept.name not in group[0])
    return [Group(tuple(names), frozenset(keys)) for names, _, keys in found]


def _filed(store: Store, groups: Iterable[Group]) -> NDArray[np.bool_]:
    import numpy as np

    keys = np.zeros(store.manifest.keys, np.bool_)
    for group in groups:
        keys[list(group.keys)] = True
    return keys


def _batch(
    store: Store,
    split: SynonymSplit,
    neighbours: Neighbours,
    seeds: Sequence[tuple[int, int]],
    rng: random.Random,
) -> Batch:
    chosen = {concept: _names(split.groups[concept], place, rng) for concept, place in seeds}
    asked = [split.groups[concept][place].names[0] for concept, place in seeds]
    for (concept, _), near in zip(seeds, neighbours(asked), strict=True):
        others = [other for other in near if other != concept and other in split.groups][:_NEAR]
        parents = [parent for parent in store.parents(concept) if parent in split.groups]
        for pool, number in ((others, _NEIGHBOURS), (parents, 1)):
            for other in rng.sample(pool, min(number, len(pool))):
                groups = split.groups[other]
                chosen.setdefault(other, _names(groups, rng.randrange(len(groups)), rng))
    pairs = [(concept, name) for concept, names in chosen.items() for name in names]
    written = tuple(_rewritten(name, rng) for _, name in pairs)
    return Batch(written, _steps(store, [concept for concept, _ in pairs], written))


def _names(groups: Sequence[Group], place: int, rng: random.Random) -> list[str]:
    """A name of the group at this place, and one of another group, or else another of the same."""
    first = rng.choice(groups[place].names)
    others = [group for number, group in enumerate(groups) if number != place]
    rest = rng.choice(others).names if others else [name for name in groups[place].names if name != first]
    return [first, rng.choice(rest)] if rest else [first]


def _rewritten(name: str, rng: random.Random) -> str:
    """The name as it is, or as a text may write it: turned round, without signs, in small letters."""
    if rng.random() < 0.25:
        name = rng.choice([name, *normalise.variants(name)])
    if rng.random() < 0.25:
        name = " ".join(_SIGNS.sub(" ", name).split()) or name
    return name.lower() if rng.random() < 0.5 else name


def _steps(store: Store, concepts: Sequence[int], names: Sequence[str]) -> NDArray[np.int64]:
    """The steps between each two names over their nearest common ancestor; a name of both joins them."""
    import numpy as np

    numbers = list(dict.fromkeys(concepts))
    above = [_above(store, concept) for concept in numbers]
    apart = np.full((len(numbers), len(numbers)), FAR)
    for row, one in enumerate(above):
        for column, other in enumerate(above):
            common = one.keys() & other.keys()
            apart[row, column] = min((one[c] + other[c] for c in common), default=FAR)
    places = [numbers.index(concept) for concept in concepts]
    steps: NDArray[np.int64] = np.minimum(apart[np.ix_(places, places)], FAR)
    keys = {key: n for n, key in enumerate(dict.fromkeys(map(normalise.key, names)))}
    same = np.array([keys[normalise.key(name)] for name in names])
    steps[same[:, None] == same[None, :]] = 0
    return steps


def _above(store: Store, concept: int) -> dict[int, int]:
    """The concept and those above it, each with its steps, as far as a pair can be told from strangers."""
    found, waiting = {concept: 0}, [concept]
    for step in range(1, FAR):
        waiting = [parent for child in waiting for parent in store.parents(child) if parent not in found]
        found |= dict.fromkeys(waiting, step)
    return found
