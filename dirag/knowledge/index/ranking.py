"""The probability that a concept is what a mention means: features of a name match, and a logistic model.

In: how a name matched a mention (by spelling, initials, meaning) and what the document names besides.
Out: the probability of each concept, in 0..1. The concepts compete, so two that match equally well share it;
one more choice, that none is right, takes the rest.

The weights were fitted on the NCBI-disease train and development mentions against MEDIC, with
``tests/benchmarks/linking.py --fit``; no feature knows the corpus or the vocabulary.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from operator import mul
from typing import Literal, NamedTuple, TypeAlias

from dirag.text.normalise import Normaliser

Kind: TypeAlias = Literal["exact", "variant", "fuzzy", "dense"]

_ABBREVIATION = re.compile(r"(?=(?:.*[A-Z]){2})\S{1,8}")


class SpellingFeatures(NamedTuple):
    """A mention and a normalised name, compared letter by letter and word by word."""

    #: 1 for the same name after normalisation
    exact: float
    #: 1 for the same without "NOS" or brackets, or with "Neoplasm, Breast" turned round
    variant: float
    #: 1 for either of the two where the mention looks like an abbreviation
    exact_abbreviation: float
    #: the score of the fuzzy search, 0 where it did not return the name
    fuzzy: float
    #: edit similarity, 0..1
    ratio: float
    #: the share of the name's words that stand in the mention
    covered: float
    #: the share of the mention's words that stand in the name
    covering: float
    #: the count of numbers and single letters of the name that the mention lacks: "type 2"
    numbers_added: float
    #: the count of those of the mention that the name lacks
    numbers_lost: float


class NameFeatures(NamedTuple):
    """A name as its vocabulary lists it."""

    #: 1 where the name is an acronym and the mention is in another case
    other_case: float
    #: 1 for a concept's preferred name
    preferred: float
    #: 1 for a synonym, which is neither preferred nor a variant made by rule
    synonym: float
    #: the cosine of the vectors of name and mention
    cosine: float


class ConceptFeatures(NamedTuple):
    """All names of a concept that are candidates, and the document around the mention."""

    #: the highest cosine of the names
    nearest_cosine: float
    #: the cosine of the preferred name, 0 where this is no candidate
    preferred_cosine: float
    #: the edit similarity of the preferred name, candidate or not
    preferred_ratio: float
    #: log(1 + names whose initials are the mention)
    initials: float
    #: 1 where the document holds a name of the concept
    in_document: float
    #: 1 where it does and the mention looks like an abbreviation
    abbreviation_in_document: float


class Features(NamedTuple):
    """Features of one match, or the weight of each: the fields are named in one place only."""

    spelling: SpellingFeatures
    name: NameFeatures
    concept: ConceptFeatures


@dataclass(frozen=True, slots=True)
class Model:
    """A weight for each feature, and the score of the choice that no concept is right."""

    weights: Features
    none: float

    def score(self, features: Features) -> float:
        return math.fsum(map(mul, chain.from_iterable(self.weights), chain.from_iterable(features)))

    def probabilities(self, scores: Mapping[int, float], group: Callable[[int], str]) -> dict[int, float]:
        """Returns the probability of each concept among those of its group, from the scores."""
        if not scores:
            return {}
        top = max(self.none, *scores.values())
        groups = {concept: group(concept) for concept in scores}
        odds = {concept: math.exp(score - top) for concept, score in scores.items()}
        totals = dict.fromkeys(groups.values(), math.exp(self.none - top))
        for concept, name in groups.items():
            totals[name] += odds[concept]
        return {concept: odds[concept] / totals[name] for concept, name in groups.items()}


#: For matches by spelling alone.
LEXICAL = Model(
    Features(
        SpellingFeatures(
            exact=2.65,
            variant=-0.28,
            exact_abbreviation=-4.09,
            fuzzy=8.49,
            ratio=-1.62,
            covered=1.51,
            covering=-1.26,
            numbers_added=-1.59,
            numbers_lost=-0.72,
        ),
        NameFeatures(other_case=-0.55, preferred=0.9, synonym=0.91, cosine=0.0),
        ConceptFeatures(
            nearest_cosine=0.0,
            preferred_cosine=0.0,
            preferred_ratio=2.36,
            initials=4.16,
            in_document=0.99,
            abbreviation_in_document=2.16,
        ),
    ),
    none=7.05,
)
#: For matches by spelling and meaning; the cosines are those of all-MiniLM-L6-v2.
DENSE = Model(
    Features(
        SpellingFeatures(
            exact=2.75,
            variant=0.18,
            exact_abbreviation=-4.38,
            fuzzy=4.59,
            ratio=-1.66,
            covered=1.3,
            covering=-1.37,
            numbers_added=-1.66,
            numbers_lost=-0.76,
        ),
        NameFeatures(other_case=-0.24, preferred=0.86, synonym=1.22, cosine=-0.92),
        ConceptFeatures(
            nearest_cosine=5.62,
            preferred_cosine=1.45,
            preferred_ratio=1.39,
            initials=4.36,
            in_document=1.05,
            abbreviation_in_document=2.58,
        ),
    ),
    none=7.26,
)


def is_abbreviation(mention: str) -> bool:
    """Tells whether a mention looks like an abbreviation: one word, at most 8 characters, two capitals."""
    return _ABBREVIATION.fullmatch(mention) is not None


@dataclass(frozen=True, slots=True)
class MentionForm:
    """A mention as it is compared: its normalised words, and whether it looks like an abbreviation."""

    text: str
    words: frozenset[str]
    abbreviation: bool

    @classmethod
    def of(cls, text: str, normaliser: Normaliser) -> MentionForm:
        words = normaliser.key(text)
        return cls(" ".join(words), frozenset(words), is_abbreviation(text))

    def ratio(self, name: str) -> float:
        """Returns the edit similarity of a normalised name, in 0..1."""
        from rapidfuzz import fuzz

        return float(fuzz.ratio(self.text, name)) / 100

    def compare(self, name: str, kind: Kind, fuzzy: float) -> SpellingFeatures:
        """Compares a normalised name, which a search of this kind returned."""
        words = set(name.split())
        added, lost = words - self.words, self.words - words
        return SpellingFeatures(
            exact=float(kind == "exact"),
            variant=float(kind == "variant"),
            exact_abbreviation=float(self.abbreviation and kind in ("exact", "variant")),
            fuzzy=fuzzy,
            ratio=self.ratio(name),
            covered=1 - len(added) / max(len(words), 1),
            covering=1 - len(lost) / max(len(self.words), 1),
            numbers_added=_count_numbers(added),
            numbers_lost=_count_numbers(lost),
        )


def _count_numbers(words: Iterable[str]) -> float:
    return float(sum(word.isdigit() or len(word) == 1 for word in words))
