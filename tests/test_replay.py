"""Recordings: what they keep, that they answer as the engine did, and which files are refused."""

from __future__ import annotations

import hashlib
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Scripted

from dirag.backends.cached.replay import Recorder, Replay, request_key
from dirag.constraint import Builder, Constraint
from dirag.data import Completion, Prompt, Token, Usage
from dirag.errors import BackendError

ANSWERS = {"She has gout.": "gout?", "naïve – 漢字 😀": "none", "": "β"}
PROMPTS = [Prompt(f"Sentence: {sentence}\nDiseases:", ("\n",), 16) for sentence in [*ANSWERS, "unknown"]]


def only(answer: str) -> Constraint:
    builder = Builder()
    builder.edge(builder.body, answer, builder.state(final=True))
    return builder.build()


def test_a_replay_answers_as_the_engine_did(tmp_path: Path) -> None:
    engine, path = Scripted(ANSWERS), tmp_path / "answers.jsonl"
    recorder = Recorder(engine, path)
    counted = [recorder.count_tokens(prompt.text) for prompt in PROMPTS]
    answered = list(recorder.generate(PROMPTS))
    recorder.close()
    recorder.close()
    assert engine.closed == 2
    assert answered == list(Scripted(ANSWERS).generate(PROMPTS))
    replay = Replay(path)
    assert (replay.name, replay.context) == ("replay:scripted", engine.context)
    assert list(replay.generate(reversed(PROMPTS))) == answered[::-1]
    assert [replay.count_tokens(prompt.text) for prompt in PROMPTS] == counted


def test_a_recorder_passes_on_prompt_by_prompt(tmp_path: Path) -> None:
    recorder, read = Recorder(Scripted(ANSWERS), tmp_path / "answers.jsonl"), 0

    def endless() -> Iterator[Prompt]:
        nonlocal read
        while True:
            read += 1
            yield PROMPTS[0]

    next(recorder.generate(endless()))
    assert read == 1
    assert next(Replay(tmp_path / "answers.jsonl").generate(PROMPTS[:1])).text == " gout"
    recorder.close()


def test_a_recording_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    for prompt in PROMPTS[:2]:
        recorder = Recorder(Scripted(ANSWERS), path)
        list(recorder.generate([prompt]))
        recorder.close()
    assert [c.finish for c in Replay(path).generate(PROMPTS[:3])] == ["stop", "stop", "failed"]


def test_a_recording_of_another_engine_is_not_mixed_with(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    Recorder(Scripted(ANSWERS), path).close()
    before = path.read_bytes()
    with pytest.raises(BackendError, match="context of 4096 tokens, not of scripted with 512"):
        Recorder(Scripted(ANSWERS, context=512), path)
    assert path.read_bytes() == before


def test_no_text_is_kept_and_only_the_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    recorder = Recorder(Scripted(ANSWERS), path)
    recorder.count_tokens(PROMPTS[0].text)
    list(recorder.generate(PROMPTS[:1]))
    recorder.close()
    assert b"She has" not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_not_recorded_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    recorder = Recorder(Scripted(ANSWERS), path)
    list(recorder.generate([PROMPTS[0]]))
    recorder.close()
    replay = Replay(path)
    others = [
        replace(PROMPTS[0], text="other"),
        replace(PROMPTS[0], stop=()),
        replace(PROMPTS[0], max_tokens=17),
        replace(PROMPTS[0], constraint=only("gout")),
    ]
    for completion in replay.generate(others):
        assert (completion.finish, completion.text) == ("failed", "")
        assert completion.detail
    assert replay.count_tokens("β") == 2
    replay.close()
    with pytest.raises(BackendError, match="closed"):
        next(replay.generate(PROMPTS))


@settings(deadline=None)
@given(st.text(), st.lists(st.text(max_size=3), max_size=2), st.integers(0, 9))
def test_a_request_is_known_by_all_that_decides_its_answer(text: str, stop: list[str], limit: int) -> None:
    prompt = Prompt(text, tuple(stop), limit)
    wanted = orjson.dumps([text, stop, limit, None]) if text.isprintable() else None
    assert wanted is None or request_key(prompt) == hashlib.sha256(wanted).hexdigest()
    assert request_key(prompt) == request_key(replace(prompt))
    changed = [
        replace(prompt, text=text + " "),
        replace(prompt, stop=(*stop, "x")),
        replace(prompt, max_tokens=limit + 1),
        replace(prompt, constraint=only("x")),
        replace(prompt, temperature=0.5),
        replace(prompt, temperature=0.7),
        replace(prompt, temperature=0.5, seed=1),
    ]
    assert len({request_key(each) for each in [prompt, *changed]}) == 8
    assert request_key(replace(prompt, seed=1)) == request_key(prompt)


completions = st.builds(
    Completion,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    st.lists(
        st.builds(
            Token,
            st.text("aβ ", max_size=3),
            st.floats(-50, 0),
            st.lists(st.tuples(st.text("ab", max_size=2), st.floats(-50, 0)), max_size=2).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    st.sampled_from(["stop", "length", "failed"]),
    st.builds(Usage, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
    st.text("ab", max_size=5),
)


@settings(deadline=None)
@given(completions)
def test_every_part_of_a_completion_comes_back(completion: Completion) -> None:
    class One(Scripted):
        def _complete(self, prompt: Prompt) -> Completion:
            return completion

    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(One({}), Path(folder, "answers.jsonl"))
        list(recorder.generate(PROMPTS[:1]))
        recorder.close()
        assert list(Replay(Path(folder, "answers.jsonl")).generate(PROMPTS[:1])) == [completion]


HEAD = b'{"engine": "x", "context": 5}\n'


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"[]\n", b'{"engine": "x"}\n', HEAD + b'{"request": "1"}\n', HEAD + b'{"tok', b"\xff\n"],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(content)
    with pytest.raises(BackendError, match="not a whole recording"):
        Replay(path)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"cannot read the recording .*none\.jsonl"):
        Replay(tmp_path / "none.jsonl")
    with pytest.raises(BackendError, match="cannot write the recording"):
        Recorder(Scripted({}), tmp_path / "none" / "answers.jsonl")
