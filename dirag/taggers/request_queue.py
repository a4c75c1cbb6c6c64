"""Requests to an engine: what is sent next, whose an answer is, and which task asks once more.

::

    tasks ──send──> awaiting answers ──settle──> results
              ^                         │
              └──────── asking again <──┘

An engine reads prompts ahead of the answers that it gives (as many as it computes at once), and answers in
the order of the prompts. So every request waits in line until the answers before it have come, and results
leave in the order of the tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from dirag.data import Completion, Prompt, Tagging

Task = TypeVar("Task")


@dataclass(frozen=True, slots=True)
class Request(Generic[Task]):
    """A task and the prompts that are sent for it, each of which is answered once; perhaps there are none."""

    task: Task
    prompts: tuple[Prompt, ...]


class RequestQueue(Generic[Task]):
    """Takes tasks through an engine, each in one request or in several, one after the other.

    ``send`` makes the request of a task when the engine has room for it. ``settle`` gets the task back with
    its answers, and returns its result or the task that is to be sent next in its place.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        *,
        send: Callable[[Task], Request[Task]],
        settle: Callable[[Task, list[Completion]], Task | Tagging],
    ) -> None:
        self._unsent, self._send, self._settle = iter(tasks), send, settle
        # The engine's reading ahead fills the first line and empties the second, its answers the reverse.
        self._awaiting: deque[Request[Task]] = deque()
        self._again: deque[Task] = deque()

    def results(self, generate: Callable[[Iterable[Prompt]], Iterable[Completion]]) -> Iterator[Tagging]:
        """Yields the results in the order of the tasks; call it once."""
        while True:
            # One stream of prompts for all tasks: an engine with many requests in flight never runs dry.
            answers = iter(generate(self._prompts()))
            for answer in answers:
                yield from self._settle_unanswered()
                # Answers keep the order of the prompts: this one is the first of the request at the head, and
                # its other prompts have the next ones. A result never waits for a prompt behind it.
                request = self._awaiting.popleft()
                yield from self._settled(request, [answer, *islice(answers, len(request.prompts) - 1)])
            yield from self._settle_unanswered()
            # The stream ended before the last answers came; tasks that ask again after these need another.
            if not self._again:
                return

    def _prompts(self) -> Iterator[Prompt]:
        """Yields prompts while the engine reads; tasks that ask again come first, as they are older."""
        # The engine runs this while ``results`` waits for its answer, in the same thread: no lock is needed.
        # The tasks are read no further than the engine reads prompts, which bounds the memory.
        while (task := self._again.popleft() if self._again else next(self._unsent, None)) is not None:
            request = self._send(task)
            self._awaiting.append(request)
            yield from request.prompts

    def _settle_unanswered(self) -> Iterator[Tagging]:
        """Settles the requests at the head of the line that have no prompts, and so get no answer."""
        while self._awaiting and not self._awaiting[0].prompts:
            yield from self._settled(self._awaiting.popleft(), [])

    def _settled(self, request: Request[Task], answers: list[Completion]) -> Iterator[Tagging]:
        outcome = self._settle(request.task, answers)
        if isinstance(outcome, Tagging):
            yield outcome
        else:
            self._again.append(outcome)
