"""How likely a concept is what a mention means: features of the match, a logistic model, probabilities.

In: how each name matched a mention (exactly, by spelling, by meaning) and what the document names besides.
Out: a score in 0..1 for each concept, the probability that it is the right one. The concepts compete, so two
that match equally well share the probability; one more choice, that none is right, takes the rest.

The weights were fitted on the NCBI-disease train and development mentions against MEDIC, with
``tests/benchmarks/linking.py --fit``; there is no feature that knows the corpus or the vocabulary.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Literal, TypeAlias

from dirag.text import normalise

Kind: TypeAlias = Literal["exact", "variant", "fuzzy", "dense"]

#: What is known of a match, with its weight where there is spelling alone and where there is meaning too
#: (the cosines are those of all-MiniLM-L6-v2).
_WEIGHTS = {
    # the same name after normalisation
    "exact": (2.65, 2.75),
    # the same without "NOS" or brackets, or with "Neoplasm, Breast" turned round
    "variant": (-0.28, 0.18),
    # either, and the mention looks like an abbreviation
    "exact abbreviation": (-4.09, -4.38),
    # the score of the fuzzy search, 0 where it did not find the name
    "fuzzy": (8.49, 4.59),
    # edit similarity
    "ratio": (-1.62, -1.66),
    # the share of the name's words that stand in the mention
    "covered": (1.51, 1.3),
    # the share of the mention's words that stand in the name
    "covering": (-1.26, -1.37),
    # numbers and single letters of the name that the mention lacks: "type 2"
    "numbers added": (-1.59, -1.66),
    # and the other way round
    "numbers lost": (-0.72, -0.76),
    # the name is an acronym and the mention is not written like it
    "other case": (-0.55, -0.24),
    # the name is the concept's preferred one
    "preferred": (0.9, 0.86),
    # the name is a synonym, neither preferred nor a variant
    "synonym": (0.91, 1.22),
    # cosine of the vectors
    "dense": (0.0, -0.92),
    # the highest cosine of all names of the concept that are candidates
    "dense, nearest name": (0.0, 5.62),
    # that of its preferred name, 0 where this is no candidate
    "dense, preferred name": (0.0, 1.45),
    # edit similarity of the concept's preferred name, whichever matched
    "ratio, preferred name": (2.36, 1.39),
    # log of one more than the concept's names whose initials are the mention
    "initials": (4.16, 4.36),
    # the concept has a name in the document
    "in document": (0.99, 1.05),
    # and the mention looks like an abbreviation
    "abbreviation in document": (2.16, 2.58),
}
FEATURES = tuple(_WEIGHTS)
_ABBREVIATION = re.compile(r"(?=(?:.*[A-Z]){2})\S{1,8}")


@dataclass(frozen=True, slots=True)
class Model:
    """A weight a feature, and the score of the choice that no concept is right."""

    weights: tuple[float, ...]
    none: float

    def score(self, features: Sequence[float]) -> float:
        return math.fsum(map(mul, self.weights, features))

    def probabilities(self, scores: Mapping[int, float], group: Callable[[int], str]) -> dict[int, float]:
        """The probability of each concept among those of its group, from the scores."""
        if not scores:
            return {}
        top = max(self.none, *scores.values())
        groups = {concept: group(concept) for concept in scores}
        odds = {concept: math.exp(score - top) for concept, score in scores.items()}
        totals = dict.fromkeys(groups.values(), math.exp(self.none - top))
        for concept, name in groups.items():
            totals[name] += odds[concept]
        return {concept: odds[concept] / totals[name] for concept, name in groups.items()}


LEXICAL = Model(tuple(spelling for spelling, _ in _WEIGHTS.values()), none=7.05)
DENSE = Model(tuple(both for _, both in _WEIGHTS.values()), none=7.26)


@dataclass(frozen=True, slots=True)
class MentionForm:
    """A mention as it is compared: its normalised words, and whether it looks like an abbreviation."""

    text: str
    words: frozenset[str]
    abbreviation: bool

    @classmethod
    def of(cls, text: str) -> MentionForm:
        """An abbreviation looks like this: one word of at most eight characters with two capitals."""
        words = normalise.key(text)
        return cls(" ".join(words), frozenset(words), _ABBREVIATION.fullmatch(text) is not None)

    def likeness(self, name: str) -> float:
        """The edit similarity of a normalised name, in 0..1."""
        from rapidfuzz import fuzz

        return float(fuzz.ratio(self.text, name)) / 100

    def features(self, name: str, kind: Kind, fuzzy: float) -> tuple[float, ...]:
        """The features of spelling, up to "numbers lost", of a normalised name."""
        words = set(name.split())
        added, lost = words - self.words, self.words - words
        return (
            float(kind == "exact"),
            float(kind == "variant"),
            float(self.abbreviation and kind in ("exact", "variant")),
            fuzzy,
            self.likeness(name),
            1 - len(added) / max(len(words), 1),
            1 - len(lost) / max(len(self.words), 1),
            _numbers(added),
            _numbers(lost),
        )


def _numbers(words: Iterable[str]) -> float:
    return float(sum(word.isdigit() or len(word) == 1 for word in words))
