"""``dirag tag --backend openai`` as a process: the records, the summary, the key, and how a run ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from scripted_server import Script, Server, serving

Run = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Starts ``dirag tag`` over 200 documents with none of the user's settings."""
    notes = tmp_path / "notes.jsonl"
    notes.write_text("".join(f'{{"id": "{i}", "text": "The patient has gout{i}."}}\n' for i in range(200)))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DIRAG_")}

    def start(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        fixed = ["--shots", "0", "--no-lexicon", "--types", "disease", "--kb", "none", "--backend", "openai"]
        return subprocess.Popen(
            [sys.executable, "-m", "dirag", "tag", str(notes), *fixed, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={**kept, "DIRAG_HOME": str(tmp_path / "home"), **(env or {})},
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
    assert len(told) == 2


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
