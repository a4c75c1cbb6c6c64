"""Completions in the order of their prompts, from requests that end in any order: in threads, or in steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import Protocol, TypeVar

from dirag.data import Completion, Prompt

#: Seconds between two looks for Ctrl-C: on Windows a wait without an end does not see it.
TICK = 0.2
#: Prompts that are read for each request that may be in work, so that a long answer does not idle the rest.
READ_AHEAD = 4


class StepRequest(Protocol):
    """A prompt in work; ``completion`` is set when it is over."""

    completion: Completion | None


R = TypeVar("R", bound=StepRequest)


def in_order(
    prompts: Iterable[Prompt], submit: Callable[[Prompt], Future[Completion]], *, ahead: int
) -> Iterator[Completion]:
    """Yields completions of futures; at most ``ahead`` prompts are read before the first of them leaves.

    Where the caller stops early, what was not begun is cancelled.
    """
    flying: deque[Future[Completion]] = deque()
    try:
        for prompt in prompts:
            flying.append(submit(prompt))
            if len(flying) >= ahead:
                yield _result(flying.popleft())
        while flying:
            yield _result(flying.popleft())
    finally:
        for future in flying:
            future.cancel()


def in_steps(
    prompts: Iterable[Prompt],
    submit: Callable[[Prompt], R | Completion],
    step: Callable[[Sequence[R]], None],
    abandon: Callable[[Sequence[R]], None],
    *,
    parallel: int,
) -> Iterator[Completion]:
    """Yields completions of an engine that computes one step of at most ``parallel`` requests at a time.

    ``submit`` returns a request, or the completion of a prompt that is refused; ``step`` advances those in
    work, in the order of their prompts; ``abandon`` is given those that are in work when the caller stops.
    """
    source, more = iter(prompts), True
    waiting: deque[R | Completion] = deque()
    try:
        while more or waiting:
            busy = _in_work(waiting)
            while more and len(busy) < parallel and len(waiting) < READ_AHEAD * parallel:
                prompt = next(source, None)
                more = prompt is not None
                if prompt is not None:
                    waiting.append(entry := submit(prompt))
                    # A refused prompt is in the line at once complete: it takes no place in a step.
                    busy += _in_work([entry])
            if busy:
                step(busy)
            while waiting and (completion := _completion(waiting[0])):
                waiting.popleft()
                yield completion
    finally:
        abandon(_in_work(waiting))


def _in_work(entries: Iterable[R | Completion]) -> list[R]:
    return [entry for entry in entries if not isinstance(entry, Completion) and entry.completion is None]


def _completion(entry: StepRequest | Completion) -> Completion | None:
    return entry if isinstance(entry, Completion) else entry.completion


def _result(future: Future[Completion]) -> Completion:
    while not wait([future], timeout=TICK).done:
        pass
    return future.result()
