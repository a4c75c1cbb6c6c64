"""Makes training data for an encoder of the names of a knowledge base: batches of synonyms and strangers.

In: an open store. Out: the names of each concept in groups, one group for all ways to write one name; some
groups are held out, with every key of theirs, to measure recall with. A batch depends on the seed and the
number of its step only, so training can stop after any step and go on there.
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
from dirag.text.normalise import Normaliser

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.data import Concept
    from dirag.knowledge.store.store import Store

#: Steps of ``is_a`` from which on two concepts are strangers.
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
    """The names to learn from, in ``groups`` by concept, and those ``held_out``, each with its concept.

    ``searched`` has a flag for each key of the store: it belongs to a name to learn from.
    """

    groups: Mapping[int, tuple[Group, ...]]
    held_out: tuple[tuple[str, int], ...]
    searched: NDArray[np.bool_]

    @property
    def seeds(self) -> list[tuple[int, int]]:
        """Returns every group of the concepts with two names or more: concept and place of the group."""
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
    """Splits the names of a knowledge base, or of as many of its concepts as have ``limit`` names.

    ``hold_out`` is the share held out of the groups that can be: a concept keeps its preferred name, and a
    name that concepts share has no right answer. Raises KnowledgeError if no concept has two names left.
    """
    rng = random.Random(f"lessons {seed}")  # the word is part of the seed: another one draws another split
    groups = {concept: _groups(store, store.concept(concept)) for concept in _some(store, limit, rng)}
    candidates = [
        (concept, place)
        for concept, concept_groups in groups.items()
        for place, group in enumerate(concept_groups)
        if place and group.keys and all(set(holders(store, key)) == {concept} for key in group.keys)
    ]
    held_out = set(rng.sample(candidates, round(hold_out * len(candidates))))
    training = {
        concept: tuple(g for place, g in enumerate(concept_groups) if (concept, place) not in held_out)
        for concept, concept_groups in groups.items()
    }
    queries = tuple((groups[concept][place].names[0], concept) for concept, place in sorted(held_out))
    split = SynonymSplit(training, queries, _flags_of_keys(store, chain.from_iterable(training.values())))
    if not split.seeds:
        raise KnowledgeError(
            f"no concept of {store.folder} has two names",
            hint="name a knowledge base whose concepts have synonyms",
        )
    return split


def batches(
    store: Store, split: SynonymSplit, neighbours: Neighbours, *, size: int, seed: int, start: int = 0
) -> Iterator[Batch]:
    """Yields batches of about ``size`` names without end, from step ``start`` on.

    Each holds names of the seeds' concepts, of concepts whose names are near theirs, and of their parents.
    """
    import numpy as np

    seeds, number = split.seeds, seeds_in(size)
    orders: dict[int, NDArray[np.int64]] = {}
    for step in count(start):
        batch_seeds = []
        for place in range(step * number, (step + 1) * number):
            epoch, rest = divmod(place, len(seeds))
            if epoch not in orders:  # of one epoch only: the order of a large base takes megabytes
                orders = {epoch: np.random.default_rng([seed, epoch]).permutation(len(seeds))}
            batch_seeds.append(seeds[orders[epoch][rest]])
        yield _batch(store, split, neighbours, batch_seeds, random.Random(f"batch {seed} {step}"))


def seeds_in(size: int) -> int:
    """Returns how many seeds make a batch of about so many names."""
    return max(1, size // (_NAMES * (1 + _NEIGHBOURS)))


def holders(store: Store, key: int) -> list[int]:
    """Returns the concepts of a key, those first whose preferred name it is."""
    rows = range(store.key_rows[key], store.key_rows[key + 1])
    return list(dict.fromkeys(store.row_concepts[row] for row in rows))


def _some(store: Store, limit: int | None, rng: random.Random) -> list[int]:
    """Returns all concepts, or a random choice that has just so many names, in order."""
    numbers = list(range(store.manifest.concepts))
    if limit is None:
        return numbers
    rng.shuffle(numbers)
    names = end = 0
    while end < len(numbers) and names < limit:
        names += 1 + len(store.concept(numbers[end]).synonyms)
        end += 1
    return sorted(numbers[:end])


def _groups(store: Store, concept: Concept) -> list[Group]:
    """Groups the names of a concept, preferred first; the same words in another order are one group."""
    groups: list[tuple[list[str], set[tuple[str, ...]], set[int]]] = []
    normaliser = normalise.normaliser(store.language)
    for name in (concept.name, *concept.synonyms):
        name_keys = {normaliser.key(form) for form in (name, *normaliser.variants(name))}
        names, keys = [name], {store.trie.find(key) for key in name_keys} - {-1}
        words = {tuple(sorted(key)) for key in name_keys}
        for other in [group for group in groups if group[1] & words]:
            groups.remove(other)
            names, words, keys = other[0] + names, other[1] | words, other[2] | keys
        groups.append((names, words, keys))
    groups.sort(key=lambda group: concept.name not in group[0])
    return [Group(tuple(names), frozenset(keys)) for names, _, keys in groups]


def _flags_of_keys(store: Store, groups: Iterable[Group]) -> NDArray[np.bool_]:
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
    names = {concept: _names(split.groups[concept], place, rng) for concept, place in seeds}
    queries = [split.groups[concept][place].names[0] for concept, place in seeds]
    for (concept, _), near in zip(seeds, neighbours(queries), strict=True):
        others = [other for other in near if other != concept and other in split.groups][:_NEAR]
        parents = [parent for parent in store.parents(concept) if parent in split.groups]
        for pool, number in ((others, _NEIGHBOURS), (parents, 1)):
            for other in rng.sample(pool, min(number, len(pool))):
                groups = split.groups[other]
                names.setdefault(other, _names(groups, rng.randrange(len(groups)), rng))
    pairs = [(concept, name) for concept, two_names in names.items() for name in two_names]
    normaliser = normalise.normaliser(store.language)
    forms = tuple(_rewritten(name, rng, normaliser) for _, name in pairs)
    return Batch(forms, _steps(store, [concept for concept, _ in pairs], forms))


def _names(groups: Sequence[Group], place: int, rng: random.Random) -> list[str]:
    """Draws a name of the group at this place, and one of another group, or else another of the same."""
    first = rng.choice(groups[place].names)
    others = [group for number, group in enumerate(groups) if number != place]
    rest = rng.choice(others).names if others else [name for name in groups[place].names if name != first]
    return [first, rng.choice(rest)] if rest else [first]


def _rewritten(name: str, rng: random.Random, normaliser: Normaliser) -> str:
    """Returns the name as it is, or as a text may write it: inverted, without punctuation, in lower case."""
    if rng.random() < 0.25:
        name = rng.choice([name, *normaliser.variants(name)])
    if rng.random() < 0.25:
        name = " ".join(_SIGNS.sub(" ", name).split()) or name
    return name.lower() if rng.random() < 0.5 else name


def _steps(store: Store, concepts: Sequence[int], names: Sequence[str]) -> NDArray[np.int64]:
    """Returns the steps between each two names over their nearest common ancestor: (names, names).

    They are 0 for one name that two concepts share.
    """
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
    key_of = normalise.normaliser(store.language).key
    keys = {key: n for n, key in enumerate(dict.fromkeys(map(key_of, names)))}
    same = np.array([keys[key_of(name)] for name in names])
    steps[same[:, None] == same[None, :]] = 0
    return steps


def _above(store: Store, concept: int) -> dict[int, int]:
    """Returns the concept and its ancestors, each with its steps, up to ``FAR``."""
    steps, level = {concept: 0}, [concept]
    for step in range(1, FAR):
        level = [parent for child in level for parent in store.parents(child) if parent not in steps]
        steps |= dict.fromkeys(level, step)
    return steps
