"""Completions in the order of their prompts, from requests that end in any order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait

from dirag.data import Completion, Prompt

#: Seconds between two looks for Ctrl-C: on Windows a wait without an end does not see it.
TICK = 0.2


def in_order(
    prompts: Iterable[Prompt], submit: Callable[[Prompt], Future[Completion]], *, ahead: int
) -> Iterator[Completion]:
    """Reads at most ``ahead`` prompts before the first completion leaves; what was not begun is cancelled."""
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


def _result(future: Future[Completion]) -> Completion:
    while not wait([future], timeout=TICK).done:
        pass
    return future.result()
