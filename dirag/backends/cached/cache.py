"""Answers that an engine gave once are not computed again: a cache around any engine.

A request is known by all that decides its answer: the prompt with its constraint and limits, and what the
engine is made of. Only whole answers are kept: none that failed, none that disobeyed its constraint.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import orjson

from dirag.backends.cached.cache_store import CacheStore
from dirag.backends.cached.replay import completion_of, request_key
from dirag.data import Completion, Prompt
from dirag.protocols import Backend

#: Hits that are read in a row before those are waited for that the engine works on.
AHEAD = 64


class Cached:
    """Asks an engine only what the store does not know.

    ``identity`` is everything but the prompt that decides an answer. An engine that gives several answers
    to one prompt, in their last digits, is held to the first.
    """

    def __init__(self, backend: Backend, store: CacheStore, identity: Mapping[str, str]) -> None:
        self._backend, self._store = backend, store
        self.name, self.context = backend.name, backend.context
        self._identity = orjson.dumps([dict(identity), self.context], option=orjson.OPT_SORT_KEYS)

    def count_tokens(self, text: str) -> int:
        return self._backend.count_tokens(text)

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Completion]:
        """Completions in order. Where many hits follow each other the engine's stream ends for a while."""
        source, more = iter(prompts), True
        waiting: deque[Completion | None] = deque()  # None: the engine is at it
        requests: deque[bytes] = deque()

        def missing() -> Iterator[Prompt]:
            nonlocal more
            hits = 0
            while hits < AHEAD:
                prompt = next(source, None)
                if prompt is None:
                    more = False
                    return
                request = self._identity + request_key(prompt).encode()
                waiting.append(self._known(request))
                if waiting[-1] is None:
                    hits = 0
                    requests.append(request)
                    yield prompt
                else:
                    hits += 1

        while more:
            for completion in self._backend.generate(missing()):
                self._keep(requests.popleft(), completion)
                usage = replace(completion.usage, misses=1)
                # The engine answers in order, so this is the answer to the first that lacks one.
                waiting[waiting.index(None)] = replace(completion, usage=usage)
                yield from _done(waiting)
            yield from _done(waiting)

    def notices(self) -> Sequence[str]:
        """Returns those of the engine, and what went wrong with the cache."""
        sentences = list(self._backend.notices())
        if self._store.damaged:
            sentences.append(f"{self._store.damaged:,} answers in the cache were damaged and asked for again")
        if self._store.trouble:
            sentences.append(f"the cache {self._store.folder} is no longer used: {self._store.trouble}")
        return sentences

    def close(self) -> None:
        self._store.close()
        self._backend.close()

    def _known(self, request: bytes) -> Completion | None:
        answer = self._store.get(request)
        if answer is None:
            return None
        completion = completion_of(orjson.loads(answer))
        usage = replace(completion.usage, cached=completion.usage.prompt, hits=1)
        return replace(completion, usage=usage)

    def _keep(self, request: bytes, completion: Completion) -> None:
        if completion.finish == "failed" or completion.detail:
            return
        answer = orjson.dumps(completion)
        if completion_of(orjson.loads(answer)) == completion:  # JSON has no infinities
            self._store.put(request, answer)


def _done(waiting: deque[Completion | None]) -> Iterator[Completion]:
    """Takes out the completions at the head for which nothing is waited."""
    while waiting and (completion := waiting[0]) is not None:
        waiting.popleft()
        yield completion
