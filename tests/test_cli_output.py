"""What a run says of records that it could not read: a few lines of each file, and the number of the rest."""

from __future__ import annotations

import pytest

from dirag.cli.output import Summary
from dirag.data import Document, Issue, Result


def _lines(capsys: pytest.CaptureFixture[str], issues: list[Issue]) -> list[str]:
    summary = Summary()
    for issue in issues:
        summary.add(Result(Document("d", ""), issues=(issue,)))
    summary.finish([])
    return capsys.readouterr().err.splitlines()[:-1]


def test_messages_of_one_kind_are_capped_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    issues = [Issue("unreadable", f"a.jsonl:{n}", "bad") for n in range(1, 11_512)]
    issues.insert(5, Issue("empty", "a.jsonl:99"))
    issues += [Issue("unreadable", "b.txt", "worse"), Issue("unreadable", "c.csv:7", "bad")]
    assert _lines(capsys, issues) == [
        "dirag: a.jsonl:1: unreadable: bad",
        "dirag: a.jsonl:2: unreadable: bad",
        "dirag: a.jsonl:3: unreadable: bad",
        "dirag: a.jsonl:99: empty: ",
        "dirag: a.jsonl: unreadable: 11,508 more of its records",
        "dirag: b.txt: unreadable: worse",
        "dirag: c.csv:7: unreadable: bad",
    ]


def test_every_file_that_is_refused_has_its_line_up_to_a_thousand(capsys: pytest.CaptureFixture[str]) -> None:
    issues = [Issue("unreadable", f"{n}.txt", "bad") for n in range(3000)]
    assert _lines(capsys, issues) == [f"dirag: {n}.txt: unreadable: bad" for n in range(1000)]
