"""The figures of a page: groups and kinds add up to the strict scores, curves to those at each score."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Document, Entity, Json
from dirag.errors import InputError
from dirag.evaluate.analysis import Analysis, analyse, length
from dirag.evaluate.scoring.counts import Counts
from dirag.evaluate.scoring.score import score
from dirag.pipeline import scoring

TEXT = "aa bb cc dd ee ff gg"
TYPES = ["disease", "gene"]
SPANS = st.lists(
    st.builds(
        lambda start, words, kind, given: Entity(
            3 * start, end := min(len(TEXT), 3 * (start + words) - 1), kind, TEXT[3 * start : end], given
        ),
        st.integers(0, 6),
        st.integers(1, 6),
        st.sampled_from([*TYPES, "odd"]),
        st.none() | st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]),
    ),
    max_size=6,
)
PAIRS = st.lists(st.tuples(SPANS, SPANS), min_size=1, max_size=4)


def documents(pairs: list[tuple[list[Entity], list[Entity]]], side: int) -> list[Document]:
    return [Document(str(i), TEXT, tuple(pair[side])) for i, pair in enumerate(pairs)]


def counted(gold: list[Document], predicted: list[Document]) -> dict[str, Json]:
    micro = score(gold, predicted, types=TYPES).micro
    return {"gold": micro.gold, "predicted": micro.predicted, "correct": micro.correct}


def three(counts: Counts) -> tuple[int, int, int]:
    return counts.gold, counts.predicted, counts.correct


def analysed(pairs: list[tuple[list[Entity], list[Entity]]]) -> Analysis:
    gold, predicted = documents(pairs, 0), documents(pairs, 1)
    seen = {"aa": "pool"}
    return analyse(
        "run",
        gold,
        predicted[::-1],
        report=counted(gold, predicted),
        types=TYPES,
        novelty=lambda mention: seen.get(mention, "neither"),
    )


@settings(deadline=None, max_examples=12)
@given(PAIRS)
def test_groups_and_kinds_add_up_to_the_strict_scores(pairs: list[tuple[list[Entity], list[Entity]]]) -> None:
    made = analysed(pairs)
    scored = score(documents(pairs, 0), documents(pairs, 1), types=TYPES)
    whole = scored.micro
    assert three(made.whole.counts) == three(whole)
    found = {name: three(figures.counts) for name, figures in made.types.items()}
    assert found == {name: three(counts) for name, counts in scored.per_type.items()}
    for groups in (made.types, made.lengths, made.novelty):
        assert sum(figures.counts.gold for figures in groups.values()) == whole.gold
        assert sum(figures.counts.predicted for figures in groups.values()) == whole.predicted
        assert sum(figures.counts.correct for figures in groups.values()) == whole.correct
        for figures in groups.values():
            assert 0 <= figures.ci95[0] <= figures.ci95[1] <= 1
    assert sum(gold for gold, _ in made.kinds.values()) == whole.gold
    assert sum(found for _, found in made.kinds.values()) == whole.predicted
    assert made.kinds["correct"] == (whole.correct, whole.correct)


@settings(deadline=None, max_examples=12)
@given(PAIRS)
def test_a_point_of_the_curve_is_what_that_least_score_leaves(
    pairs: list[tuple[list[Entity], list[Entity]]],
) -> None:
    made = analysed(pairs)
    for point in made.curve:
        least = 1.1 if point.score is None else point.score
        left = [replace(d, entities=tuple(scoring(d.entities, least))) for d in documents(pairs, 1)]
        micro = score(documents(pairs, 0), left, types=TYPES).micro
        # An entity that is listed twice, once without a score, has none for calibration.
        if all(len({(e.start, e.end, e.type) for e in d.entities}) == len(d.entities) for d in left):
            assert (point.precision, point.recall) == (micro.precision, micro.recall)
    if made.curve:
        assert made.curve[-1].recall == made.whole.counts.recall


def test_mentions_are_grouped_by_their_words() -> None:
    assert [length("x " * words) for words in (1, 2, 4, 5, 9)] == [
        *("1 word", "2 words", "4 words"),
        *("5 or more words", "5 or more words"),
    ]


def test_documents_without_predictions_are_missed_and_the_same_text_twice_is_matched_in_order() -> None:
    entity = Entity(0, 2, "gene", "aa")
    gold = [Document("1", TEXT, (entity,)), Document("1", TEXT), Document("2", TEXT, (entity,))]
    predicted = [Document("1", TEXT, (entity,)), Document("1", TEXT)]
    made = analyse("run", gold, predicted, report=counted(gold, predicted), types=TYPES)
    assert [list(each.gold.values()) for each in made.judged] == [["correct"], [], ["missed"]]
    assert made.novelty == {}


def test_a_report_of_other_files_is_refused() -> None:
    gold = [Document("1", TEXT, (Entity(0, 2, "gene", "aa"),))]
    with pytest.raises(InputError, match="does not hold together"):
        analyse("run", gold, gold, report={"gold": 1, "predicted": 1, "correct": 0}, types=TYPES)
