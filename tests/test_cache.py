"""The response cache around engines: the same completions, only what is missing asked, and what is kept."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Scripted

from dirag.backends.cached.cache import AHEAD, Cached
from dirag.backends.cached.cache_store import CacheStore
from dirag.data import Completion, Prompt, Token, Usage

ANSWERS = {f"She has gout{i}.": f"gout{i}?" for i in range(8)}
PROMPTS = [Prompt(f"Sentence: {sentence}\nDiseases:", ("\n",), 16) for sentence in [*ANSWERS, "unknown"]]
IDENTITY = {"weights": "abc"}


class Ahead(Scripted):
    """Reads some prompts before it answers the first, as engines do that work on many at once."""

    def __init__(self, ahead: int) -> None:
        super().__init__(ANSWERS)
        self._ahead = ahead

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Completion]:
        waiting: deque[Prompt] = deque()
        for prompt in prompts:
            waiting.append(prompt)
            if len(waiting) > self._ahead:
                yield from super().generate([waiting.popleft()])
        yield from super().generate(waiting)


def cached(folder: Path, engine: Scripted | None = None, identity: dict[str, str] = IDENTITY) -> Cached:
    return Cached(engine or Scripted(ANSWERS), CacheStore(folder, limit=1 << 24), identity)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.lists(st.sampled_from(PROMPTS), max_size=3 * AHEAD), min_size=1, max_size=4),
    st.integers(0, 5),
)
def test_any_prompts_are_answered_as_the_engine_would(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[Prompt]], ahead: int
) -> None:
    folder, known = tmp_path_factory.mktemp("cache"), set[Prompt]()
    for prompts in runs:
        engine = Ahead(ahead)
        with closing(cached(folder, engine)) as backend:
            given = list(backend.generate(prompts))
        bare = list(Scripted(ANSWERS).generate(prompts))
        assert [replace(c, usage=Usage()) for c in given] == [replace(c, usage=Usage()) for c in bare]
        usage = sum((completion.usage for completion in given), Usage())
        assert (usage.hits + usage.misses, usage.misses) == (len(prompts), len(engine.prompts))
        assert not known.intersection(engine.prompts)
        known |= {prompt for prompt in prompts if prompt != PROMPTS[-1]}  # that one fails each time


def test_a_hit_is_told_from_what_was_computed(tmp_path: Path) -> None:
    with closing(cached(tmp_path)) as backend:
        (first,) = backend.generate(PROMPTS[:1])
        (second,) = backend.generate(PROMPTS[:1])
    used = first.usage
    assert (used.cached, used.hits, used.misses) == (0, 0, 1)
    assert second == replace(first, usage=Usage(used.prompt, used.completion, used.prompt, hits=1))


@pytest.mark.parametrize(
    "completion, kept",
    [
        (Completion("gout"), True),
        (Completion("go", finish="length"), True),
        (Completion("gout", (Token("gout", -0.1, (("x", -2.5),)),), usage=Usage(3, 2, 1)), True),
        (Completion("gout", (Token("gout", -math.inf),)), False),
        (Completion.failed("no server"), False),
        (Completion("gout and so on", detail="it did not obey the constraint"), False),
    ],
)
def test_only_what_is_whole_is_kept(tmp_path: Path, completion: Completion, kept: bool) -> None:
    class One(Scripted):
        def _complete(self, prompt: Prompt) -> Completion:
            return completion

    for hits in (0, int(kept)):
        with closing(cached(tmp_path, One({}))) as backend:
            (given,) = backend.generate(PROMPTS[:1])
        assert replace(given, usage=Usage()) == replace(completion, usage=Usage())
        assert given.usage.hits == hits


def test_what_comes_after_the_end_is_not_kept(tmp_path: Path) -> None:
    """An engine that is closed may cut its answers short."""
    backend = cached(tmp_path, Ahead(3))
    stream = backend.generate(PROMPTS[:4])
    next(stream)
    backend.close()
    assert len(list(stream)) == 3
    with closing(cached(tmp_path)) as again:
        assert [c.usage.hits for c in again.generate(PROMPTS[:4])] == [1, 0, 0, 0]


@pytest.mark.parametrize(
    "change", [{"weights": "other"}, {"weights": "abc", "adapter": "x"}, {"adapter": "abc"}, {}]
)
def test_another_engine_has_its_own_answers(tmp_path: Path, change: dict[str, str]) -> None:
    with closing(cached(tmp_path)) as backend:
        list(backend.generate(PROMPTS[:1]))
    with closing(cached(tmp_path, identity=change)) as backend:
        (given,) = backend.generate(PROMPTS[:1])
        assert given.usage.hits == 0
    with closing(cached(tmp_path, Scripted(ANSWERS, context=512))) as backend:
        (given,) = backend.generate(PROMPTS[:1])
        assert given.usage.hits == 0


def test_damage_is_told_and_costs_no_answer(tmp_path: Path) -> None:
    with closing(cached(tmp_path)) as backend:
        first = list(backend.generate(PROMPTS))
    file = tmp_path / "answers.sqlite"
    file.write_bytes(file.read_bytes().replace(b'" gout3"', b'" gout4"'))
    with closing(cached(tmp_path)) as backend:
        again = list(backend.generate(PROMPTS))
        assert backend.notices() == ["1 answers in the cache were damaged and asked for again"]
    assert [c.text for c in again] == [c.text for c in first]
    assert [c.usage.hits for c in again] == [1, 1, 1, 0, 1, 1, 1, 1, 0]


def test_a_cache_that_fails_costs_no_answer(tmp_path: Path) -> None:
    store = CacheStore(tmp_path, limit=1 << 24)
    with closing(Cached(Scripted(ANSWERS), store, IDENTITY)) as backend:
        assert store._db is not None
        store._db.execute("DROP TABLE answers")
        assert [c.text for c in backend.generate(PROMPTS[:2])] == [" gout0", " gout1"]
        assert backend.notices() == [f"the cache {tmp_path} is no longer used: no such table: answers"]
