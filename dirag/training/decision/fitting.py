"""Fits what the ensemble decides by, and says what it is worth: sentences with evidence in, weights out.

Weights are logistic regressions; every corpus counts as much as any other. Figures come from folds: each
sentence is judged by weights that were fitted to others, of each corpus a block in its order, so that few
documents are on both sides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from dirag.data import Document
from dirag.errors import DatasetError
from dirag.evaluate.calibration import calibration
from dirag.evaluate.scoring.score import Score, score
from dirag.taggers.decision import Decision, Evidence, Regression, Span, chosen, features

FOLDS = 5
#: Thresholds that are tried.
_THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5)
#: Strength of the regularisation, as scikit-learn counts it.
_C = 1.0


@dataclass(frozen=True, slots=True)
class JudgedSentence:
    """A sentence of the held-out ones of a ``corpus``, with what is said of its spans.

    ``llm`` has the evidence with what the LLM wrote, None where it was not asked.
    """

    corpus: str
    sentence: Document
    evidence: Mapping[Span, Evidence]
    llm: Mapping[Span, Evidence] | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """A decision, and by corpus its scores in the folds and the ``shares`` of sentences asked of."""

    decision: Decision
    scores: Mapping[str, Score]
    shares: Mapping[str, float]

    def lines(self) -> Iterator[str]:
        """Yields the figures for eyes: a row a corpus."""
        yield f"{'corpus':<24} {'P':>6} {'R':>6} {'F1':>6}  {'calibration error':>17}  {'LLM asked':>9}"
        for name, scored in self.scores.items():
            c, ece = scored.micro, calibration(scored).ece
            ratios = f"{c.precision:6.3f} {c.recall:6.3f} {c.f1:6.3f}"
            yield f"{name:<24} {ratios}  {ece:17.3f}  {self.shares[name]:9.3f}"


def doubted(sentences: Sequence[JudgedSentence], doubt: tuple[float, float]) -> tuple[Regression, list[bool]]:
    """Fits the weights without the LLM; returns them, and which sentences leave them in doubt."""
    low, high = doubt
    judged = _in_folds(sentences, lambda sentence: sentence.evidence)
    return _regression(sentences, lambda sentence: sentence.evidence), [
        any(low <= p <= high for p in probabilities) for probabilities in judged
    ]


def fit(sentences: Sequence[JudgedSentence], decision: Decision) -> Fitted:
    """Fits the weights with the LLM and the threshold; ``decision`` has all else."""
    in_doubt = [sentence for sentence in sentences if sentence.llm is not None]
    with_llm = _regression(in_doubt, _with_llm) if in_doubt else decision.without_llm
    of_those = iter(_in_folds(in_doubt, _with_llm))
    without = _in_folds(sentences, lambda sentence: sentence.evidence)
    judged = [
        (sentence, next(of_those)) if sentence.llm is not None else (sentence, probabilities)
        for sentence, probabilities in zip(sentences, without, strict=True)
    ]
    decision = replace(decision, with_llm=with_llm)
    by_threshold = {threshold: _scores(judged, threshold) for threshold in _THRESHOLDS}
    best = max(_THRESHOLDS, key=lambda t: fmean(scored.micro.f1 for scored in by_threshold[t].values()))
    numbers = {
        name: [s.llm is not None for s in sentences if s.corpus == name] for name in by_threshold[best]
    }
    shares = {name: fmean(of_corpus) for name, of_corpus in numbers.items()}
    return Fitted(replace(decision, threshold=best), by_threshold[best], shares)


def _with_llm(sentence: JudgedSentence) -> Mapping[Span, Evidence]:
    assert sentence.llm is not None
    return sentence.llm


def _scores(judged: Sequence[tuple[JudgedSentence, Sequence[float]]], threshold: float) -> dict[str, Score]:
    result = {}
    for name in dict.fromkeys(sentence.corpus for sentence, _ in judged):
        of_corpus = [pair for pair in judged if pair[0].corpus == name]
        gold = [sentence.sentence for sentence, _ in of_corpus]
        answers = (
            replace(s.sentence, entities=tuple(chosen(s.sentence.text, _spans(s), probabilities, threshold)))
            for s, probabilities in of_corpus
        )
        types = tuple(sorted({entity.type for sentence in gold for entity in sentence.entities}))
        result[name] = score(gold, answers, types=types, tokens=False)
    return result


def _spans(sentence: JudgedSentence) -> list[Span]:
    return list(sentence.evidence if sentence.llm is None else sentence.llm)


_Reading = Callable[[JudgedSentence], Mapping[Span, Evidence]]


def _in_folds(sentences: Sequence[JudgedSentence], evidence: _Reading) -> list[list[float]]:
    """Returns the probabilities of each sentence's spans by weights that it had no part in."""
    folds = _folds(sentences)
    result: list[list[float]] = [[] for _ in sentences]
    for fold in range(FOLDS if sentences else 0):
        others = [s for s, number in zip(sentences, folds, strict=True) if number != fold]
        weights = _regression(others, evidence)
        for place, number in enumerate(folds):
            if number == fold:
                sentence = sentences[place]
                rows = features(sentence.sentence.text, evidence(sentence))
                result[place] = weights.probabilities(rows)
    return result


def _folds(sentences: Sequence[JudgedSentence]) -> list[int]:
    """Returns the fold of each sentence, the same for the same text: of each corpus a block in its order."""
    texts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for sentence in sentences:
        numbers = texts[sentence.corpus]
        numbers.setdefault(sentence.sentence.text, len(numbers))
    return [texts[s.corpus][s.sentence.text] * FOLDS // len(texts[s.corpus]) for s in sentences]


def _regression(sentences: Iterable[JudgedSentence], evidence: _Reading) -> Regression:
    """Fits a logistic regression to the spans of sentences; every corpus weighs as much."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    rows: list[dict[str, float]] = []
    right: list[bool] = []
    corpora: list[str] = []
    for sentence in sentences:
        gold = {(entity.start, entity.end, entity.type) for entity in sentence.sentence.entities}
        spans = evidence(sentence)
        rows += features(sentence.sentence.text, spans)
        right += [tuple(span) in gold for span in spans]
        corpora += [sentence.corpus] * len(spans)
    if len(set(right)) < 2:
        raise DatasetError(
            f"of {len(rows):,} spans to fit to {sum(right):,} are right: both kinds are needed",
            hint="give more sentences, or another corpus",
        )
    sizes = {name: corpora.count(name) for name in set(corpora)}
    weights = [len(corpora) / len(sizes) / sizes[name] for name in corpora]
    names = DictVectorizer(sparse=False)
    model = LogisticRegression(C=_C, max_iter=1000).fit(
        names.fit_transform(rows), right, sample_weight=weights
    )
    pairs = zip(names.get_feature_names_out(), model.coef_[0], strict=True)
    return Regression(
        float(model.intercept_[0]), {str(name): round(float(value), 4) for name, value in pairs}
    )
