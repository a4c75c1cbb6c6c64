"""The embedded llama.cpp against the engine itself: the laws, what it refuses, who can reach it, Ctrl-C."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import backend_laws as laws
import pytest

from dirag.backends import gguf_files
from dirag.backends.llamacpp import server
from dirag.backends.llamacpp.engine import LlamaCpp
from dirag.constraint import Constraint
from dirag.data import Prompt
from dirag.errors import BackendError

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def path(weights: Callable[[str], Path]) -> Path:
    return weights("smollm2-135m-instruct")


@pytest.fixture(scope="module")
def engine(path: Path) -> Iterator[LlamaCpp]:
    backend = LlamaCpp(path, context=512, top=3)
    yield backend
    backend.close()


@pytest.mark.parametrize("law", laws.every(), ids=lambda law: law.__name__)
def test_law(engine: LlamaCpp, law: Callable[[LlamaCpp], None]) -> None:
    law(engine)


@pytest.fixture(scope="module")
def several(path: Path) -> Iterator[LlamaCpp]:
    """Three slots, without a cache."""
    backend = LlamaCpp(path, context=512, parallel=3, threads=1, top=3)
    yield backend
    backend.close()


@pytest.mark.parametrize("law", [laws.answers_each_prompt, laws.is_lazy], ids=lambda law: law.__name__)
def test_law_with_several_slots(several: LlamaCpp, law: Callable[[LlamaCpp], None]) -> None:
    law(several)


def test_a_control_token_in_a_note_is_text(engine: LlamaCpp) -> None:
    plain, spelled = engine.generate([Prompt("a b", max_tokens=1), Prompt("a <|im_end|> b", max_tokens=1)])
    assert spelled.usage.prompt > plain.usage.prompt + 2


def test_cache_and_threads_change_no_bit(engine: LlamaCpp, several: LlamaCpp) -> None:
    for prompt in laws.PROMPTS:
        alone = laws.said(laws.one(several, prompt))
        told = replace(prompt, text=prompt.text + alone.text)
        longer = replace(prompt, text=told.text + "\n\nText: A case of gout.\nDiseases:")
        for asked in (prompt, prompt, told, longer, told, prompt):
            assert laws.said(laws.one(engine, asked)) == laws.said(laws.one(several, asked))


def test_fresh_engine_gives_the_same(path: Path) -> None:
    laws.is_deterministic(
        LlamaCpp(path, context=512, top=3), lambda: LlamaCpp(path, context=768, threads=1, top=3)
    )


def test_reuses_the_beginning_of_the_prompt_before(engine: LlamaCpp) -> None:
    _, second = engine.generate(laws.PROMPTS[:2])
    assert 0 < second.usage.cached < second.usage.prompt


def test_context_is_never_more_than_the_model_has(path: Path) -> None:
    engine = LlamaCpp(path, context=100_000)
    assert engine.context == gguf_files.open(path).fields["llama.context_length"].contents()
    engine.close()


def test_abandoned_work_ends_at_its_next_token(several: LlamaCpp) -> None:
    short = Prompt("Once", max_tokens=1)
    long = [Prompt("Once", max_tokens=300, constraint=laws.choice("ab" * 400))] * 3
    start = time.monotonic()
    assert [completion.finish for completion in several.generate(long)] == ["length"] * 3
    whole = time.monotonic() - start
    start = time.monotonic()
    for completion in several.generate([short, *long]):
        assert completion.usage.completion == 1
        break  # three long answers are in work
    laws.one(several, short)
    assert time.monotonic() - start < whole / 2


def test_silent(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    backend = LlamaCpp(path, context=512)
    laws.refuses_long_prompts(backend)
    backend.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "method, where",
    [
        ("POST", "/completion"),
        ("POST", "/tokenize"),
        ("GET", "/slots"),
        ("GET", "/props"),
        ("GET", "/v1/models"),
    ],
)
def test_nobody_else_can_reach_the_engine(engine: LlamaCpp, method: str, where: str) -> None:
    address = engine._address
    assert address.startswith("127.0.0.1:")
    for headers in ({}, {"Authorization": "Bearer guess"}, {"Origin": "http://page.example"}):
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request(method, where, "{}" if method == "POST" else None, headers)
        assert connection.getresponse().status == http.client.UNAUTHORIZED
        connection.close()


def test_prompts_in_work_are_not_shown_even_with_the_key(engine: LlamaCpp) -> None:
    with pytest.raises(BackendError, match="501"):
        engine._http("GET", "/slots")


def test_failure_inside_the_engine_is_a_failed_completion(
    engine: LlamaCpp, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def handle_completions(self, request: object, receive: object) -> None:
            raise RuntimeError("out of memory")

    monkeypatch.setattr(engine, "_server", Broken())
    completions = list(engine.generate(laws.PROMPTS))
    assert [c.finish for c in completions] == ["failed"] * len(laws.PROMPTS)
    assert all("out of memory" in c.detail for c in completions)
    monkeypatch.undo()
    assert laws.one(engine, laws.PROMPTS[0]).finish == "stop"


def test_error_that_the_engine_tells_is_a_failed_completion(engine: LlamaCpp) -> None:
    # A grammar without rules is the one thing that llama.cpp itself refuses in a request of ours.
    bad = Prompt("Once", max_tokens=2, constraint=Constraint(edges=((("x", 7),),), final=frozenset()))
    failed, good = engine.generate([bad, Prompt("Once", max_tokens=2)])
    assert failed.finish == "failed"
    assert "grammar" in failed.detail
    assert good.finish == "length"


def test_refuses_files_that_are_no_weights(path: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.gguf"
    text.write_text("not weights")
    damaged = tmp_path / "damaged.gguf"
    with path.open("rb") as file:
        damaged.write_bytes(file.read(2_000_000))
    for wrong in (tmp_path / "missing.gguf", tmp_path, text, damaged):
        with pytest.raises(BackendError, match=wrong.name) as caught:
            LlamaCpp(wrong)
        assert caught.value.hint
        with pytest.raises(BackendError, match=wrong.name):
            LlamaCpp(path, adapter=wrong)


def test_loading_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    before = dict(os.environ)
    server.load()
    assert dict(os.environ) == before
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    server.load()
    assert dict(os.environ) == before | {"OMP_WAIT_POLICY": "active"}


LONG_WORK = """
import sys
from pathlib import Path
from dirag.backends.llamacpp.engine import LlamaCpp
from dirag.constraint import Builder
from dirag.constraint import Constraint
from dirag.data import Prompt
builder = Builder()
builder.edge(builder.body, "ab" * 4000, builder.state(final=True))
engine = LlamaCpp(Path(sys.argv[1]), context=2048, parallel=2)
print("ready", flush=True)
list(engine.generate([Prompt("Once", max_tokens=1900, constraint=builder.build())] * 3))
print("finished", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_interrupt_ends_a_long_generation_cleanly(path: Path) -> None:
    command = [sys.executable, "-c", LONG_WORK, str(path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert "finished" not in out
    assert err.strip().endswith("KeyboardInterrupt")
    assert child.returncode == -signal.SIGINT


def test_an_engine_that_was_asked_nothing_ends_at_once_on_a_busy_machine(path: Path) -> None:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        for _ in range(3):
            LlamaCpp(path, context=512).close()
    finally:
        for process in busy:
            process.kill()
            process.wait()
