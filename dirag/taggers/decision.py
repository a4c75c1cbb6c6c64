"""One decision, one probability: how likely a span is a mention, given what each witness says of it.

In: the spans that a token classifier finds probable, those that an LLM wrote and those of known names. Out:
the probability that each is right, from a logistic regression over a few features, and the spans that stay.
Its weights are fitted to development data (``dirag.training.decision``) and kept in a ``decision.json``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from dirag.corpora.labels import type_of
from dirag.data import Entity
from dirag.errors import ArtifactError
from dirag.taggers.known_names import KnownName

#: Probabilities nearer to 0 or 1 count as these: beyond, a witness is sure, and how sure says nothing.
_LOW, _HIGH = 0.01, 0.998
#: Witnesses, by the names that the weights have.
_CLASSIFIER, _NAME, _LLM = "classifier", "name", "llm"


class Span(NamedTuple):
    """A place in a text and an entity type: what may be a mention."""

    start: int
    end: int
    type: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the witnesses say of a span: probabilities, 0 where the classifier or the names say nothing.

    ``llm`` is None where the LLM did not write it, or was not asked. A name that is not ``annotated`` is
    known from a vocabulary alone.
    """

    classifier: float = 0.0
    name: float = 0.0
    annotated: bool = False
    llm: float | None = None


def gather(classifier: Iterable[Entity], names: Iterable[KnownName]) -> dict[Span, Evidence]:
    """Returns the evidence of each span that the classifier or a name is for, in text order."""
    spans: dict[Span, Evidence] = {}
    for entity in classifier:
        spans[Span(entity.start, entity.end, entity.type)] = Evidence(classifier=entity.score or 0.0)
    for name in names:
        span = Span(name.start, name.end, name.type)
        spans[span] = replace(spans.get(span, Evidence()), name=name.share, annotated=name.annotated)
    return dict(sorted(spans.items()))


def with_answer(evidence: Mapping[Span, Evidence], answer: Iterable[Entity]) -> dict[Span, Evidence]:
    """Returns the evidence together with the entities that an LLM wrote."""
    result = dict(evidence)
    for entity in answer:
        span = Span(entity.start, entity.end, entity.type)
        # An engine that tells no probabilities is believed as far as one that is in two minds.
        score = 0.5 if entity.score is None else entity.score
        result[span] = replace(result.get(span, Evidence()), llm=score)
    return dict(sorted(result.items()))


def features(text: str, evidence: Mapping[Span, Evidence]) -> list[dict[str, float]]:
    """Returns the features of each span by name; one that is left out is 0."""
    return [_features(text, span, of, _rivals(span, evidence)) for span, of in evidence.items()]


def _features(text: str, span: Span, of: Evidence, rivals: Evidence) -> dict[str, float]:
    mention, classifier = text[span.start : span.end], _logit(of.classifier)
    type_ = type_of(span.type)  # weights are by the names of the table
    result = {
        _CLASSIFIER: classifier,
        f"{_CLASSIFIER} silent": float(not of.classifier),
        f"rival {_CLASSIFIER}": _logit(rivals.classifier),
        f"type {type_}": 1.0,
        f"type {type_}, {_CLASSIFIER}": classifier,
        "before a colon": float(text[span.end : span.end + 1] == ":"),
        "in capitals": float(mention.isupper() and len(mention) > 3),
        "short": float(len(mention) < 4),
        "words": math.log(len(mention.split()) or 1),
        "digit": float(any(map(str.isdigit, mention))),
        "begins with a capital": float(mention[:1].isupper()),
        "half a bracket": float(mention.count("(") != mention.count(")")),
    }
    if of.name:
        result |= {_NAME: 1.0, f"{_NAME} share": _logit(of.name), f"{_NAME}, {_CLASSIFIER}": classifier}
        result["annotated"] = float(of.annotated)
    if rivals.name:
        result[f"rival {_NAME}"] = _logit(rivals.name) - _logit(0.0)
    if of.llm is not None:
        result |= {_LLM: 1.0, f"{_LLM} score": _logit(of.llm), f"{_LLM}, {_CLASSIFIER}": classifier}
        result[f"type {type_}, {_LLM}"] = 1.0
    if rivals.llm is not None:
        result |= {f"rival {_LLM}": 1.0, f"rival {_LLM} score": _logit(rivals.llm)}
    return result


def _rivals(span: Span, evidence: Mapping[Span, Evidence]) -> Evidence:
    """Returns the strongest that is said of the spans that overlap one, by witness."""
    others = [of for other, of in evidence.items() if other != span and _overlap(other, span)]
    scores = [of.llm for of in others if of.llm is not None]
    return Evidence(
        classifier=max((of.classifier for of in others), default=0.0),
        name=max((of.name for of in others), default=0.0),
        llm=max(scores, default=None),
    )


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def _logit(probability: float) -> float:
    clipped = min(max(probability, _LOW), _HIGH)
    return math.log(clipped / (1 - clipped))


@dataclass(frozen=True, slots=True)
class Regression:
    """A logistic regression over named features; one that it has no weight for counts nothing."""

    bias: float
    weights: Mapping[str, float]

    def probabilities(self, rows: Sequence[Mapping[str, float]]) -> list[float]:
        weights = self.weights
        sums = (
            self.bias + sum(weights.get(name, 0.0) * value for name, value in row.items()) for row in rows
        )
        return [1 / (1 + math.exp(-total)) if total > -700 else 0.0 for total in sums]


@dataclass(frozen=True, slots=True)
class Decision:
    """Decides which spans are mentions: those whose probability is at least ``threshold``.

    Of spans that overlap the most probable stays. Before the LLM is asked ``without_llm`` judges, and where
    one of its probabilities lies within ``doubt`` the LLM is asked, and ``with_llm`` judges. ``types`` are
    those that it was fitted for, ``least`` the probability from which the classifier's spans are judged.
    """

    types: tuple[str, ...]
    threshold: float
    least: float
    doubt: tuple[float, float]
    without_llm: Regression
    with_llm: Regression

    def is_in_doubt(self, text: str, evidence: Mapping[Span, Evidence]) -> bool:
        """Tells whether the LLM is to be asked of a text, given what the other witnesses say."""
        low, high = self.doubt
        return any(low <= p <= high for p in self.without_llm.probabilities(features(text, evidence)))

    def mentions(self, text: str, evidence: Mapping[Span, Evidence], *, has_answer: bool) -> list[Entity]:
        """Returns the mentions in text order, none overlapping another, with their probabilities.

        ``has_answer`` says whether the LLM was asked, and answered.
        """
        judge = self.with_llm if has_answer else self.without_llm
        return chosen(text, list(evidence), judge.probabilities(features(text, evidence)), self.threshold)

    @classmethod
    def read(cls, path: Path) -> Decision:
        """Reads a ``decision.json``; raises ArtifactError where it is none."""
        try:
            record = json.loads(path.read_bytes())
            return cls(
                tuple(map(str, record["types"])),
                float(record["threshold"]),
                float(record["least"]),
                (float(record["doubt"][0]), float(record["doubt"][1])),
                _regression(record["without_llm"]),
                _regression(record["with_llm"]),
            )
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"cannot read the weights in {path}: {error!r}", hint="fit them anew"
            ) from error


def chosen(text: str, spans: Sequence[Span], probabilities: Sequence[float], least: float) -> list[Entity]:
    """Returns the spans of at least so great a probability as entities; of two that overlap the likelier."""
    return likeliest(
        Entity(*span, text[span.start : span.end], probability)
        for span, probability in zip(spans, probabilities, strict=True)
        if probability >= least
    )


def likeliest(entities: Iterable[Entity]) -> list[Entity]:
    """Returns entities in text order, of those that overlap the most probable; of equal ones the first."""
    stay: list[Entity] = []
    # One without a probability is believed as far as a tagger that is in two minds.
    for entity in sorted(entities, key=lambda e: -(0.5 if e.score is None else e.score)):
        if all(other.end <= entity.start or entity.end <= other.start for other in stay):
            stay.append(entity)
    return sorted(stay, key=lambda entity: entity.start)


def _regression(record: Any) -> Regression:
    weights = {str(name): float(weight) for name, weight in record["weights"].items()}
    return Regression(float(record["bias"]), weights)
