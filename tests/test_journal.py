"""A run that is killed and taken up again writes what one uninterrupted run writes."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from command import DIRAG
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Document, Json, Result
from dirag.errors import DiragError, InputError, UsageError
from dirag.files.journal import begin, remaining
from dirag.formats.jsonl import dumps

MADE_OF = {"--shots": "8", "weights": "abc"}
META: dict[str, Json] = {"ward": 7, "weights": [61.5, None], "é": {"😀": True}}
DOCUMENTS = [Document(str(n), f"Text {n} of gout. \u2028 é\n", meta=META) for n in range(6)]
RECORDS = [dumps(Result(document)) for document in DOCUMENTS]


@settings(deadline=None)
@given(st.integers(0, sum(map(len, RECORDS))))
def test_whatever_was_written_is_completed(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    output = tmp_path_factory.mktemp("out") / "out.jsonl"
    assert begin(output, MADE_OF, resume=True) == 0
    output.write_bytes(b"".join(RECORDS)[:cut])
    whole = begin(output, MADE_OF, resume=True)
    rest = list(remaining(DOCUMENTS, output, whole)) if whole else DOCUMENTS
    with output.open("ab") as stream:
        stream.writelines(dumps(Result(document)) for document in rest)
    assert output.read_bytes() == b"".join(RECORDS)
    assert whole <= cut
    assert cut - whole < max(map(len, RECORDS))


def test_what_has_changed_is_named(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    begin(output, MADE_OF, resume=False)
    output.write_bytes(RECORDS[0])
    with pytest.raises(UsageError, match="made with --shots '8', not '4'"):
        begin(output, MADE_OF | {"--shots": "4"}, resume=True)
    with pytest.raises(UsageError, match="weights 'abc', not 'none'"):
        begin(output, {"--shots": "8"}, resume=True)
    assert output.read_bytes() == RECORDS[0]
    (tmp_path / ".out.jsonl.journal").unlink()
    with pytest.raises(InputError, match="no journal"):
        begin(output, MADE_OF, resume=True)


def test_another_input_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_bytes(RECORDS[0] + RECORDS[1])
    whole = output.stat().st_size
    changed = [DOCUMENTS[0], Document("1", "another text")]
    moved = [DOCUMENTS[0], replace(DOCUMENTS[1], meta={"ward": 8})]
    other, missing = "record 2 .* another", "record 2 .* missing"
    for others, what in ((changed, other), (moved, other), (DOCUMENTS[:1], missing)):
        with pytest.raises(DiragError, match=what) as caught:
            list(remaining(others, output, whole))
        assert "another text" not in str(caught.value)


def test_without_resume_a_run_begins_anew(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_bytes(b"something else")
    assert begin(output, MADE_OF, resume=False) == 0
    assert output.read_bytes() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_run_ends_as_if_it_had_not_been_killed(tmp_path: Path) -> None:
    vocabulary = tmp_path / "v.tsv"
    vocabulary.write_text("id\tname\ttypes\nD1\tgout\tdisease\nD2\tasthma\tdisease\n")
    notes = tmp_path / "in.jsonl"
    with notes.open("w") as stream:
        for n in range(400):
            text = f"Case {n}: gout and asthma. " * 40
            stream.write(json.dumps({"id": str(n), "text": text}) + "\n")
    command = [*DIRAG, "tag", str(notes), "--tagger", "dictionary", "-q"]
    command += ["--types", "disease", "--kb", str(vocabulary), "-o"]
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    subprocess.run([*command, str(whole)], check=True)
    chance, kills = random.Random(3), 0
    for _ in range(60):
        run = subprocess.Popen([*command, str(cut), "--resume"])
        begun = cut.stat().st_size if cut.exists() else 0
        while run.poll() is None and (not cut.exists() or cut.stat().st_size == begun):
            time.sleep(0.002)
        time.sleep(chance.random() * 0.02)
        run.send_signal(signal.SIGKILL)
        if run.wait() == 0:
            break
        kills += 1
    else:
        subprocess.run([*command, str(cut), "--resume"], check=True)
    assert kills > 2
    assert cut.read_bytes() == whole.read_bytes()
