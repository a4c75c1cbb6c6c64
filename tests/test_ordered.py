"""Completions in order: how far is read ahead, and what becomes of work that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.backends.ordered import in_order
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
