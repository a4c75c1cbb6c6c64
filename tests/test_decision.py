"""The decision over spans: what stays, the regression against scikit-learn's, files that are no weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from dirag.data import Entity
from dirag.errors import ArtifactError
from dirag.taggers.decision import Decision, Evidence, Regression, Span, chosen, features, gather, with_answer
from dirag.taggers.known_names import KnownName

TEXT = "Mild chest pain (angina): 2 CASES of COPD"
#: Believes the classifier as it is, and doubles the odds where the LLM wrote a span.
PLAIN = Regression(0.0, {"classifier": 1.0})
DECISION = Decision(
    types=("disease", "symptom"),
    threshold=0.5,
    least=0.03,
    doubt=(0.2, 0.8),
    without_llm=PLAIN,
    with_llm=Regression(0.0, {"classifier": 1.0, "llm": np.log(2)}),
)


def entity(start: int, end: int, kind: str, score: float | None) -> Entity:
    return Entity(start, end, kind, TEXT[start:end], score)


spans = st.builds(
    lambda start, length, kind: Span(start, min(len(TEXT), start + length), kind),
    st.integers(0, len(TEXT) - 1),
    st.integers(1, 12),
    st.sampled_from(["disease", "symptom"]),
)


@settings(deadline=None)
@given(st.dictionaries(spans, st.floats(0, 1), max_size=12), st.floats(0.05, 0.95))
def test_what_stays_is_probable_and_apart_and_nothing_likelier_was_left_out(
    probabilities: dict[Span, float], least: float
) -> None:
    entities = chosen(TEXT, list(probabilities), list(probabilities.values()), least)
    places = [(e.start, e.end) for e in entities]
    assert places == sorted(places)
    assert all(e.score is not None and e.score >= least and e.text == TEXT[e.start : e.end] for e in entities)
    assert all(a[1] <= b[0] or b[1] <= a[0] for a, b in combinations(places, 2))
    stay = {(e.start, e.end, e.type) for e in entities}
    for span, probability in probabilities.items():
        if probability >= least and span not in stay:
            rivals = [e for e in entities if e.start < span.end and span.start < e.end]
            assert any(e.score is not None and e.score >= probability for e in rivals)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_probabilities_are_those_of_a_logistic_regression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(30, 3))
    model = LogisticRegression().fit(rows, [0, 1] * 15)
    names = ["a", "b", "c"]
    ours = Regression(float(model.intercept_[0]), dict(zip(names, model.coef_[0].tolist(), strict=True)))
    named = [dict(zip(names, row, strict=True)) | {"unknown": 5.0} for row in rows.tolist()]
    assert ours.probabilities(named) == pytest.approx(model.predict_proba(rows)[:, 1].tolist(), abs=1e-9)


def test_all_that_is_said_of_a_span_comes_together() -> None:
    evidence = gather(
        [entity(5, 15, "symptom", 0.7), entity(11, 15, "symptom", 0.2)],
        [KnownName(5, 15, "symptom", 0.9), KnownName(17, 23, "disease", 0.4, annotated=False)],
    )
    asked = with_answer(evidence, [entity(5, 15, "symptom", 0.8), entity(37, 41, "disease", None)])
    assert asked == {
        Span(5, 15, "symptom"): Evidence(classifier=0.7, name=0.9, annotated=True, llm=0.8),
        Span(11, 15, "symptom"): Evidence(classifier=0.2),
        Span(17, 23, "disease"): Evidence(name=0.4),
        Span(37, 41, "disease"): Evidence(llm=0.5),
    }
    assert all(of.llm is None for of in evidence.values())


def test_features_tell_rivals_places_and_shapes() -> None:
    evidence = with_answer(
        gather([entity(5, 15, "symptom", 0.7), entity(28, 33, "disease", 0.3)], []),
        [entity(11, 15, "symptom", 0.8), entity(16, 23, "disease", 0.6)],
    )
    of = dict(zip(evidence, features(TEXT, evidence), strict=True))
    longer, shorter = of[Span(5, 15, "symptom")], of[Span(11, 15, "symptom")]
    assert "llm" not in longer
    assert longer["rival llm"] == 1.0
    assert shorter["llm"] == 1.0
    assert shorter["rival classifier"] == longer["classifier"]
    assert of[Span(16, 23, "disease")]["before a colon"] == 0.0
    assert of[Span(16, 23, "disease")]["half a bracket"] == 1.0
    assert of[Span(28, 33, "disease")]["in capitals"] == 1.0
    # A type that the weights do not know and a silent witness change nothing.
    assert all(value for row in of.values() for name, value in row.items() if name.startswith("type "))


def test_the_llm_is_asked_in_doubt_and_its_answer_counts() -> None:
    sure, open_ = gather([entity(5, 15, "symptom", 0.9)], []), gather([entity(5, 15, "symptom", 0.4)], [])
    assert not DECISION.is_in_doubt(TEXT, sure)
    assert DECISION.is_in_doubt(TEXT, open_)
    assert DECISION.mentions(TEXT, open_, has_answer=False) == []
    [found] = DECISION.mentions(TEXT, with_answer(open_, [entity(5, 15, "symptom", 0.9)]), has_answer=True)
    assert found.score == pytest.approx(4 / 7)


def test_weights_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "decision.json"
    path.write_text(json.dumps(asdict(DECISION)))
    assert Decision.read(path) == DECISION


HALF = json.dumps(asdict(DECISION) | {"doubt": [0.2]})


@pytest.mark.parametrize("content", ["", "[]", '{"types": ["a"]}', HALF])
def test_what_is_no_file_of_weights_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "decision.json"
    path.write_text(content)
    with pytest.raises(ArtifactError, match=r"cannot read the weights in .*decision\.json"):
        Decision.read(path)
