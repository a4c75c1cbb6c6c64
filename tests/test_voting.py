"""Several answers to one prompt: their seeds, and the laws of the vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Entity, Prompt
from dirag.taggers.voting import SINGLE, Sampling, elect

TEXT = "abcdefgh"


@st.composite
def ballots(draw: st.DrawFn) -> list[list[Entity]]:
    """Answers of entities that do not overlap, some with scores."""
    made: list[list[Entity]] = []
    for _ in range(draw(st.integers(2, 6))):
        cuts = sorted(draw(st.sets(st.integers(0, len(TEXT)), max_size=6)))
        spans = [span for span in pairwise(cuts) if draw(st.booleans())]
        kinds, scores = st.sampled_from(["disease", "gene"]), st.none() | st.floats(0, 1)
        made.append([Entity(s, e, draw(kinds), TEXT[s:e], draw(scores)) for s, e in spans])
    return made


def votes(answers: Sequence[Sequence[Entity]], entity: Entity, *, typed: bool) -> list[Entity]:
    """The entities of all answers at the same place, perhaps with the same type only."""
    named = [e for answer in answers for e in answer if (e.start, e.end) == (entity.start, entity.end)]
    return [e for e in named if e.type == entity.type or not typed]


@settings(deadline=None)
@given(ballots())
def test_what_is_elected(answers: list[list[Entity]]) -> None:
    elected = elect(answers)
    for entity in elected:
        same = votes(answers, entity, typed=True)
        anywhere = votes(answers, entity, typed=False)
        assert 2 * len(anywhere) >= len(answers)
        assert 2 * len(same) >= len(anywhere)  # of two types
        scores = [1.0 if vote.score is None else vote.score for vote in same]
        share = len(same) / len(answers)
        assert entity.score == pytest.approx(share * sum(scores) / len(scores), abs=1e-9)
        assert entity.text == TEXT[entity.start : entity.end]
    for first, second in pairwise(elected):
        assert first.end <= second.start
    for entity in (entity for answer in answers for entity in answer):
        if 2 * len(votes(answers, entity, typed=False)) > len(answers):
            assert (entity.start, entity.end) in [(e.start, e.end) for e in elected]
    assert [(e.start, e.end) for e in elect(answers[::-1])] == [(e.start, e.end) for e in elected]


@settings(deadline=None, max_examples=50)
@given(ballots(), st.integers(2, 4))
def test_answers_that_agree_say_what_one_says(answers: list[list[Entity]], number: int) -> None:
    for answer in answers:
        assert elect([answer]) == answer
        agreed = elect([answer] * number)
        assert [replace(e, score=None) for e in agreed] == [replace(e, score=None) for e in answer]
        scores = [1.0 if entity.score is None else entity.score for entity in answer]
        assert [entity.score for entity in agreed] == pytest.approx(scores)


def test_no_answer_elects_nothing() -> None:
    assert elect([]) == elect([[], []]) == []


@settings(deadline=None, max_examples=50)
@given(st.text(), st.integers(2, 9), st.integers())
def test_each_sample_has_a_seed_of_its_own(text: str, number: int, seed: int) -> None:
    prompt = Prompt(text, ("\n",), 7)
    sampling = Sampling(number, 0.5, seed)
    made = list(sampling.prompts(prompt))
    assert made == list(sampling.prompts(prompt))
    assert [replace(each, temperature=0.0, seed=0) for each in made] == [prompt] * number
    assert {each.temperature for each in made} == {0.5}
    seeds = {each.seed for each in made}
    assert all(0 <= each < 2**31 for each in seeds)
    others = [*Sampling(number, 0.5, seed + 1).prompts(prompt), *sampling.prompts(Prompt(text + "x"))]
    assert len(seeds | {other.seed for other in others}) == 3 * number
    # A run with more samples draws those of a run with fewer, and then others.
    assert list(Sampling(number + 1, 0.5, seed).prompts(prompt))[:-1] == made


def test_a_single_answer_is_the_likeliest() -> None:
    prompt = Prompt("Once")
    assert list(SINGLE.prompts(prompt)) == list(Sampling(1, 0.9, 5).prompts(prompt)) == [prompt]
