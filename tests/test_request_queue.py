"""The queue of requests: whatever the engine reads ahead, each task gets its own answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Completion, Issue, Prompt, Tagging
from dirag.taggers.request_queue import Request, RequestQueue


@dataclass(frozen=True)
class Asking:
    """A task: the number of prompts in each of its rounds, and the answers that it has got."""

    name: int
    rounds: tuple[int, ...]
    answers: tuple[str, ...] = ()


def send(task: Asking) -> Request[Asking]:
    number = len(task.rounds)
    return Request(task, tuple(Prompt(f"{task.name}/{number}/{n}") for n in range(task.rounds[0])))


def settle(task: Asking, completions: Sequence[Completion]) -> Asking | Tagging:
    answers = (*task.answers, *(completion.text for completion in completions))
    if len(task.rounds) > 1:
        return replace(task, rounds=task.rounds[1:], answers=answers)
    return Tagging(issues=tuple(Issue("failed", "", line) for line in (str(task.name), *answers)))


def engine(ahead: int) -> Callable[[Iterable[Prompt]], Iterator[Completion]]:
    """An engine that reads so many prompts before its first answer, and repeats each as its answer."""

    def generate(prompts: Iterable[Prompt]) -> Iterator[Completion]:
        source = iter(prompts)
        flying = deque(islice(source, ahead))
        while flying:
            yield Completion(flying.popleft().text)
            flying.extend(islice(source, ahead - len(flying)))

    return generate


TASKS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple), max_size=12)


@settings(deadline=None)
@given(TASKS, st.integers(1, 9))
def test_each_task_gets_its_own_answers_in_its_own_place(rounds: list[tuple[int, ...]], ahead: int) -> None:
    tasks = [Asking(name, numbers) for name, numbers in enumerate(rounds)]
    queue = RequestQueue(tasks, send=send, settle=settle)
    expected = [
        [str(name)]
        + [f"{name}/{len(numbers) - n}/{i}" for n, prompts in enumerate(numbers) for i in range(prompts)]
        for name, numbers in enumerate(rounds)
    ]
    results = [[issue.detail for issue in result.issues] for result in queue.results(engine(ahead))]
    # Rounds of equal length keep the order of the tasks; a task with more of them comes behind younger ones.
    assert sorted(results) == sorted(expected)
    for length in range(1, 4):
        same = [answers for answers, numbers in zip(expected, rounds, strict=True) if len(numbers) == length]
        assert [answers for answers in results if answers in same] == same


@given(st.integers(1, 3), st.integers(1, 9))
def test_tasks_are_read_no_further_than_the_engine_reads_prompts(prompts: int, ahead: int) -> None:
    read = 0

    def endless() -> Iterator[Asking]:
        nonlocal read
        while True:
            yield Asking(read, (1, prompts))
            read += 1

    results = RequestQueue(endless(), send=send, settle=settle).results(engine(ahead))
    assert read == 0
    for number in range(20):
        [name, first, *_] = next(results).issues
        assert (name.detail, first.detail) == (str(number), f"{number}/2/0")
        assert read <= number + 2 * ahead
