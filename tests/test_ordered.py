"""Completions in order: how far is read ahead, and what becomes of work that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count, islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.backends.ordered import READ_AHEAD, in_order, in_steps
from dirag.data import Completion, Prompt


@given(st.integers(0, 20), st.integers(1, 8), st.randoms())
def test_order_is_that_of_the_prompts_whatever_ends_first(prompts: int, ahead: int, random: object) -> None:
    begun: list[tuple[str, Future[Completion]]] = []

    def submit(prompt: Prompt) -> Future[Completion]:
        future: Future[Completion] = Future()
        begun.append((prompt.text, future))
        if len(begun) in (prompts, ahead):  # whatever is in work ends, in any order
            shuffled = [each for each in begun if not each[1].done()]
            random.shuffle(shuffled)  # type: ignore[attr-defined]
            for text, each in shuffled:
                each.set_result(Completion(text))
        elif len(begun) > ahead:
            future.set_result(Completion(prompt.text))
        return future

    texts = [c.text for c in in_order((Prompt(str(i)) for i in range(prompts)), submit, ahead=ahead)]
    assert texts == [str(i) for i in range(prompts)]


def test_no_more_is_read_than_asked_for_and_the_rest_is_cancelled() -> None:
    futures: list[Future[Completion]] = []
    read = 0

    def endless() -> Iterator[Prompt]:
        nonlocal read
        for read in count(1):
            yield Prompt(str(read))

    def submit(prompt: Prompt) -> Future[Completion]:
        futures.append(Future())
        if len(futures) == 1:
            futures[0].set_result(Completion(prompt.text))
        return futures[-1]

    completions = in_order(endless(), submit, ahead=5)
    assert next(completions).text == "1"
    assert read == 5
    completions.close()  # type: ignore[attr-defined]
    assert [future.cancelled() for future in futures] == [False, True, True, True, True]


def test_an_error_comes_in_its_turn() -> None:
    def submit(prompt: Prompt) -> Future[Completion]:
        future: Future[Completion] = Future()
        if prompt.text == "bad":
            future.set_exception(KeyError("bad"))
        else:
            future.set_result(Completion(prompt.text))
        return future

    completions = in_order([Prompt("a"), Prompt("bad"), Prompt("b")], submit, ahead=3)
    assert next(completions).text == "a"
    with pytest.raises(KeyError):
        next(completions)


@dataclass
class Work:
    """A prompt in work that is over after some steps."""

    text: str
    steps: int
    completion: Completion | None = None


class Stepper:
    """Computes requests that take a random number of steps; some prompts are refused."""

    def __init__(self, random: Random, *, parallel: int) -> None:
        self.random, self.parallel = random, parallel
        self.submitted = 0
        self.in_work: list[str] = []
        self.abandoned: list[str] = []

    def submit(self, prompt: Prompt) -> Work | Completion:
        self.submitted += 1
        if self.random.random() < 0.2:
            return Completion(prompt.text)
        self.in_work.append(prompt.text)
        return Work(prompt.text, self.random.choice([1, 2, 3, 40]))

    def step(self, requests: Sequence[Work]) -> None:
        assert [request.text for request in requests] == sorted(self.in_work, key=int)
        assert 0 < len(requests) <= self.parallel
        for request in requests:
            request.steps -= 1
            if not request.steps:
                request.completion = Completion(request.text)
                self.in_work.remove(request.text)

    def abandon(self, requests: Sequence[Work]) -> None:
        self.abandoned += [request.text for request in requests]

    def run(self, prompts: Iterator[Prompt]) -> Iterator[Completion]:
        return in_steps(prompts, self.submit, self.step, self.abandon, parallel=self.parallel)


@given(st.integers(0, 40), st.integers(1, 5), st.randoms(use_true_random=False))
def test_steps_give_completions_in_order(prompts: int, parallel: int, random: Random) -> None:
    engine = Stepper(random, parallel=parallel)
    texts = [completion.text for completion in engine.run(Prompt(str(i)) for i in range(prompts))]
    assert texts == [str(i) for i in range(prompts)]
    assert engine.in_work == engine.abandoned == []


@given(st.integers(0, 40), st.integers(1, 5), st.randoms(use_true_random=False))
def test_steps_read_little_ahead_and_abandon_what_is_in_work(
    taken: int, parallel: int, random: Random
) -> None:
    engine = Stepper(random, parallel=parallel)
    completions = engine.run(Prompt(str(i)) for i in count())
    assert len(list(islice(completions, taken))) == taken
    assert engine.submitted <= taken + READ_AHEAD * parallel
    completions.close()  # type: ignore[attr-defined]
    assert engine.abandoned == sorted(engine.in_work, key=int)
