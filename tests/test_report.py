"""The report of an evaluation: figures that follow from gold and results, and nothing lost on the way."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.corpora.datasets import Dataset
from dirag.data import Document, Entity, Issue, Result, Usage
from dirag.evaluate.report import COUNTED, EvaluationReport, report, title
from dirag.evaluate.scoring.score import SCHEMES

TEXT = "abcdefghij"
SPANS = st.lists(
    st.tuples(st.integers(0, 8), st.sampled_from(["disease", "gene", "odd"])), max_size=5, unique=True
)


def entities(spans: Sequence[tuple[int, str]]) -> tuple[Entity, ...]:
    return tuple(Entity(start, start + 2, kind, TEXT[start : start + 2]) for start, kind in spans)


def made(gold: Sequence[Document], results: Sequence[Result]) -> EvaluationReport:
    dataset = Dataset("toy", "test", tuple(gold), ("disease", "gene"), {"toy.txt": "00"}, "CC0", "here")
    return report(dataset, gold, results, config={"shots": 2}, started=time.monotonic() - 5.0, seed=1)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(SPANS, SPANS), min_size=1, max_size=5))
def test_the_figures_are_those_of_sets_of_spans(
    pairs: list[tuple[list[tuple[int, str]], list[tuple[int, str]]]],
) -> None:
    gold = [Document(str(i), TEXT, entities(spans)) for i, (spans, _) in enumerate(pairs)]
    results = [Result(Document(str(i), TEXT), entities(spans)) for i, (_, spans) in enumerate(pairs)]
    shown = made(gold, results).json()
    wanted = {(i, *span) for i, (spans, _) in enumerate(pairs) for span in spans if span[1] != "odd"}
    found = {(i, *span) for i, (_, spans) in enumerate(pairs) for span in spans if span[1] != "odd"}
    right = len(wanted & found)
    assert (shown["gold"], shown["predicted"], shown["correct"]) == (len(wanted), len(found), right)
    assert shown["f1"] == round(2 * right / max(1, len(wanted) + len(found)), 4)
    assert shown["precision"] == round(right / max(1, len(found)), 4)
    assert shown["recall"] == round(right / max(1, len(wanted)), 4)
    assert shown["ignored"] == sum(kind == "odd" for _, spans in pairs for _, kind in spans)
    per_type = shown["per_type"]
    assert isinstance(per_type, dict)
    assert set(per_type) == {kind for _, _, kind in wanted | found}
    low, high = made(gold, results).ci95["strict"]
    assert 0 <= low <= high <= 1
    assert shown["ci95"] == [round(low, 4), round(high, 4)]


def test_cost_issues_and_origin_are_told() -> None:
    gold = [Document("1", TEXT), Document("2", TEXT), Document("3", TEXT)]
    results = [
        Result(gold[0], issues=(Issue("invented", "x"), Issue("invented", "y")), usage=Usage(10, 2, 4, 1)),
        Result(gold[1], issues=(Issue("examples-dropped", "x"),), usage=Usage(5, 1, 0, 2, 3)),
        Result(Document("9", TEXT)),
    ]
    shown = made(gold, results).json()
    assert shown["tokens"] == {"prompt": 15, "completion": 3, "cached": 4}
    assert shown["cache"] == {"hits": 3, "misses": 3}
    assert shown["issues"] == {
        "unparsed": 0,
        "invented": 2,
        "truncated": 0,
        "failed": 0,
        "examples-dropped": 1,
    }
    assert (shown["missing"], shown["extra"]) == (["3"], ["9"])
    assert (shown["documents"], shown["sentences"]) == (3, 3)
    assert 5.0 <= made(gold, results).seconds < 60
    assert replace(made(gold, results), seconds=1.234).json()["seconds"] == 1.23
    assert shown["data"] == {"sha256": {"toy.txt": "00"}, "licence": "CC0"}
    assert shown["config"] == {"shots": 2}
    assert shown["cost"] is None
    assert replace(made(gold, results), price=(0.5, 2.0)).cost == pytest.approx((15 * 0.5 + 3 * 2.0) / 1e6)


def test_the_report_is_json_with_the_promised_keys() -> None:
    gold = [Document("1", TEXT, entities([(0, "gene")]))]
    shown = orjson.loads(orjson.dumps(made(gold, [Result(gold[0], gold[0].entities)]).json()))
    promised = {"dataset", "split", "documents", "sentences", "gold", "predicted", "correct", "precision"}
    promised |= {"recall", "f1", "ci95", "per_type", "issues", "tokens", "seconds", "config"}
    assert set(shown) >= promised
    assert set(shown["issues"]) >= set(COUNTED)
    assert set(shown["tokens"]) == {"prompt", "completion", "cached"}
    assert Counter(shown["ci95"]) == {1.0: 2}


def test_every_scheme_is_in_the_report() -> None:
    gold = [
        Document("1", TEXT, entities([(0, "gene"), (4, "disease")]), issues=(Issue("unusable-label", "x"),))
    ]
    shown = made(gold, [Result(Document("1", TEXT), entities([(1, "gene"), (4, "disease")]))]).json()
    scores = shown["scores"]
    assert isinstance(scores, dict)
    assert list(scores) == list(SCHEMES)
    strict, partial = scores["strict"], scores["partial"]
    assert isinstance(strict, dict)
    assert isinstance(partial, dict)
    assert {
        key: shown[key] for key in ("gold", "predicted", "correct", "precision", "recall", "f1", "ci95")
    } == {key: strict[key] for key in ("gold", "predicted", "correct", "precision", "recall", "f1", "ci95")}
    assert (strict["incorrect"], strict["missed"], strict["spurious"]) == (1, 0, 0)
    assert (partial["partial"], partial["f1"], partial["macro_f1"]) == (1, 0.75, 0.75)
    assert (shown["unusable_gold"], shown["types"]) == (1, ["disease", "gene"])


def test_a_corpus_without_splits_is_named_alone() -> None:
    dataset = Dataset("toy", "test", (), ("disease",), {}, "CC0", "here")
    assert title(dataset) == "toy test"
    assert title(replace(dataset, split=None)) == "toy"
