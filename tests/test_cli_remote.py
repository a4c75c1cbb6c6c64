"""``dirag tag --backend openai`` as a process: the records, the summary, the key, and how a run ends."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from command import DIRAG, environment
from scripted_server import Script, Server, serving

Run = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Starts ``dirag tag`` over 200 documents with none of the user's settings."""
    notes = tmp_path / "notes.jsonl"
    notes.write_text("".join(f'{{"id": "{i}", "text": "The patient has gout{i}."}}\n' for i in range(200)))

    def start(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        fixed = ["--shots", "0", "--no-lexicon", "--types", "disease", "--kb", "none", "--backend", "openai"]
        return subprocess.Popen(
            [*DIRAG, "tag", str(notes), *fixed, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment(tmp_path / "home") | dict(env or {}),
        )

    return start


def ended(process: subprocess.Popen[bytes]) -> tuple[int, list[dict[str, object]], list[str]]:
    """Status, records, and the lines of standard error."""
    out, err = process.communicate(timeout=60)
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode().splitlines()


def found(records: list[dict[str, object]]) -> list[object]:
    return [[entity["text"] for entity in record["entities"]] for record in records]  # type: ignore[attr-defined]


@pytest.fixture
def roomy() -> Script:
    return Script(context=4096)


def test_records_in_order_and_where_the_text_went(run: Run, roomy: Script) -> None:
    with serving(roomy) as server:
        # A proxy that the environment names is not asked, and loopback needs no exception from it.
        status, records, told = ended(
            run("--base-url", server.url, "--no-constrain", env={"http_proxy": "http://127.0.0.1:9"})
        )
    assert (status, found(records)) == (0, [[f"gout{i}"] for i in range(200)])
    assert told[-1] == f"dirag: text was sent to {server.url} (202 requests, 0 retried)"
    assert told[0].startswith("dirag: llm finds disease; what is served by openai, adapter none, ")
    assert len(told) == 3


def test_a_server_that_dies_leaves_all_that_was_finished(run: Run, roomy: Script) -> None:
    roomy.last = 100
    with serving(roomy) as server:
        status, records, told = ended(run("--base-url", server.url, "--retries", "1", "--parallel", "4"))
    assert status == 1
    assert found(records) == [[f"gout{i}"] for i in range(len(records))]
    assert 90 <= len(records) <= 100
    assert len(told) == 1
    assert told[0].startswith(f"dirag: {server.url} does not answer: no connection")


def test_no_constraint_for_an_unknown_server_is_told_once(run: Run, roomy: Script) -> None:
    roomy.owner = ""
    with serving(roomy) as server:
        status, records, told = ended(run("--base-url", server.url))
    assert (status, len(records)) == (0, 200)
    assert told[-1].startswith(f"dirag: no constraint was sent: {server.url} does not say which server it is")
    assert all(record["issues"] == [] for record in records)


def test_a_server_that_ignores_the_constraint_is_an_issue_of_each_answer(run: Run, roomy: Script) -> None:
    roomy.answer = lambda prompt: " gout and gout"
    with serving(roomy) as server:
        status, records, told = ended(run("--base-url", server.url, "--strict"))
    assert status == 3
    assert {issue["code"] for record in records for issue in record["issues"]} >= {"unconstrained"}  # type: ignore[attr-defined]
    assert "unconstrained 200" in told[-2]


def test_the_key_comes_from_the_variable_that_was_named(run: Run, roomy: Script) -> None:
    roomy.key = "right"
    keys = {"OPENAI_API_KEY": "right", "MINE": "right", "WRONG": "wrong-one"}
    with serving(roomy) as server:
        at = ("--base-url", f"{server.url}/v1/")
        assert ended(run(*at, "--key-env", "MINE", env=keys))[0] == 0
        assert {asked.headers.get("Authorization") for asked in server.seen} == {"Bearer right"}
        for more in ((), ("--key-env", "WRONG")):
            status, records, told = ended(run(*at, *more, env=keys))
            assert (status, records, len(told)) == (1, [], 1)
            assert told[0].startswith(f"dirag: {server.url} refuses: status 401")
            assert "wrong-one" not in told[0]
        sent = {asked.headers.get("Authorization") for asked in server.seen}
        assert sent == {"Bearer right", None, "Bearer wrong-one"}
        status, _, told = ended(run(*at, "--key-env", "UNSET"))
        assert (status, told) == (2, ["dirag: --key-env names 'UNSET', which is not set; export it first"])


def test_two_requests_a_sentence_that_are_recorded_and_resumed(
    run: Run, roomy: Script, tmp_path: Path
) -> None:
    names = "".join(f"C{i}\tgout{i}\tdisease\n" for i in range(0, 200, 2))
    (tmp_path / "names.tsv").write_text("id\tname\ttypes\n" + names)
    output = tmp_path / "tagged.jsonl"
    asked = ["--kb", "names.tsv", "--retrieval", "llm", "--concepts", "8", "-o", str(output)]
    with serving(roomy) as server:
        at = ("--base-url", server.url)
        status, _, told = ended(run(*asked, *at, "--record", "answers.jsonl"))
        assert (status, "400 requests" in told[-2]) == (0, True)
        prompts = [seen.body["prompt"] for seen in server.seen if "completions" in seen.path]
        whole = output.read_bytes()
        output.write_bytes(whole[: len(whole) // 2])
        before = server.posts
        assert ended(run(*asked, *at, "--resume"))[0] == 0
        assert 180 < server.posts - before < 220
    assert output.read_bytes() == whole
    assert found([json.loads(line) for line in whole.splitlines()]) == [[f"gout{i}"] for i in range(200)]
    second = [prompt for prompt in prompts if prompt.endswith("Diseases:")]
    assert len(second) == len(prompts) - len(second) == 200
    lines = [f"gout{i} semantic type is disease.\n" * (i % 2 == 0) for i in range(200)]
    written = {f"\n\n{line}Sentence: The patient has gout{i}.\n" for i, line in enumerate(lines)}
    assert {prompt[prompt.index("\n\n") :].removesuffix("Diseases:") for prompt in second} == written
    assert ended(run(*asked, "--backend", "replay", "--model", "answers.jsonl"))[0] == 0
    assert output.read_bytes() == whole


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "--backend openai needs --base-url URL"),
        (["--base-url", "127.0.0.1:8000"], "--base-url begins with"),
        (["--base-url", "http://me:pass@host"], "holds a user name or a password"),
        (["--base-url", "http://h", "--api", "assistants"], "assistants"),
        (["--base-url", "http://h", "--timeout", "0"], "--timeout"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], said: str) -> None:
    status, records, told = ended(run(*arguments))
    assert (status, records) == (2, [])
    assert said in told[-1]
    assert "pass@" not in told[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_an_interrupt_ends_it_within_a_second(run: Run, roomy: Script) -> None:
    roomy.latency = 0.02
    with serving(roomy) as server:
        process = run("--base-url", server.url, "--parallel", "4")
        wait_for(server, 50)
        server.script.latency = 60
        wait_for_silence(server)
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        status, records, _ = ended(process)
        assert time.monotonic() - start < 1
    assert status == 130
    assert found(records) == [[f"gout{i}"] for i in range(len(records))]
    assert len(records) > 30


def wait_for(server: Server, posts: int) -> None:
    while server.posts < posts:
        time.sleep(0.001)


def wait_for_silence(server: Server) -> None:
    seen = -1
    while seen != server.posts:
        seen = server.posts
        time.sleep(0.3)


# -- what is kept: the cache, and the records of a run that was killed -----------------------------------


def completions(server: Server) -> list[str]:
    """The prompts that were sent to be completed."""
    return [asked.body["prompt"] for asked in list(server.seen) if asked.path == "/v1/completions"]


def test_a_second_run_is_answered_by_the_cache(run: Run, roomy: Script, tmp_path: Path) -> None:
    keep = ("--no-constrain", "--cache", str(tmp_path / "answers"))
    with serving(roomy) as server:
        bare = run("--base-url", server.url, "--no-constrain").communicate(timeout=60)
        first = run("--base-url", server.url, *keep).communicate(timeout=60)
        asked = len(completions(server))
        again = run("--base-url", server.url, *keep).communicate(timeout=60)
        assert (asked, len(completions(server))) == (400, 400)
        ended(run("--base-url", server.url, *keep, "--api", "chat"))
        assert server.seen[-1].path == "/v1/chat/completions"
    assert bare[0] == first[0] == again[0]
    assert b"cache:" not in bare[1]
    assert b"cache: 0 hits and 200 misses" in first[1]
    assert b"cache: 200 hits and 0 misses" in again[1]
    (file,) = (tmp_path / "answers").iterdir()
    assert b"The patient" not in file.read_bytes()


def test_the_default_cache_lies_with_what_else_is_kept(run: Run, roomy: Script, tmp_path: Path) -> None:
    with serving(roomy) as server:
        ended(run("--base-url", server.url, "--cache", "default"))
    assert (tmp_path / "home" / "answers").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_run_sends_no_finished_document_again(run: Run, roomy: Script, tmp_path: Path) -> None:
    """Finished is a document whose whole record stands in the output."""
    roomy.latency = 0.005
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    chance, kills = random.Random(11), 0
    with serving(roomy) as server:
        arguments = ("--base-url", server.url, "--parallel", "2", "--resume", "-o")
        assert ended(run(*arguments, str(whole)))[0] == 0
        while True:
            server.seen.clear()
            finished = cut.read_bytes().count(b"\n") if cut.exists() else 0
            until = server.posts + chance.randrange(60)
            process = run(*arguments, str(cut))
            while process.poll() is None and server.posts < until:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            kills += ended(process)[0] == -signal.SIGKILL
            sent = [int(prompt.rpartition("gout")[2].partition(".")[0]) for prompt in completions(server)]
            assert not sent or min(sent) >= finished
            if process.returncode == 0:
                break
    assert kills > 2
    assert cut.read_bytes() == whole.read_bytes()
