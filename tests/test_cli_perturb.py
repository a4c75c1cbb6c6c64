"""``dirag eval --perturb`` as scripts see it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from command import dirag

from dirag.text.language import english

VOCABULARY = (
    "id\tname\tsynonyms\ttypes\nC1\tmyocardial infarction\theart attack\tdisease\nC2\tgout\t\tdisease\n"
)
GOLD = ("A heart attack was found. It was not gout.", ["heart attack", "gout"])


def evaluate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    text, found = GOLD
    spans = [{"start": text.index(m), "end": text.index(m) + len(m), "type": "disease"} for m in found]
    (folder / "gold.jsonl").write_text(json.dumps({"id": "1", "text": text, "entities": spans}))
    (folder / "names.tsv").write_text(VOCABULARY)
    return dirag(folder, "eval", "--dataset", "gold.jsonl", "--tagger", "dictionary", *arguments)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_copies_are_tagged_compared_and_kept(tmp_path: Path) -> None:
    done = evaluate(tmp_path, "--kb", "names.tsv", "--perturb", "all", "--out", "run")
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    for kind in ("case", "whitespace", "synonym", "order", "concept", "non-entity"):
        assert f"\n{kind}" in shown
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    by_kind = {row["kind"]: row for row in report["robustness"]}
    assert by_kind["synonym"]["documents"] == {"right": 1, "of": 1, "share": 1.0, "ci95": [1.0, 1.0]}
    assert by_kind["concept"]["followed"]["right"] == by_kind["concept"]["followed"]["of"] == 1
    assert by_kind["non-entity"]["after"]["predicted"] == 0
    copies = lines(tmp_path / "run" / "perturbed.jsonl")
    assert [copy["id"] for copy in copies] == [
        f"1:{kind}" for kind in by_kind if kind not in ("kept", "changed")
    ]
    for copy in copies:
        meta = copy["meta"]
        assert isinstance(meta, dict)
        pieces = meta["perturbed"]["pieces"]
        assert "".join(new[0] if new else GOLD[0][a:b] for a, b, *new in pieces) == copy["text"]
    assert len(lines(tmp_path / "run" / "predictions.jsonl")) == 1 + len(copies)
    assert lines(tmp_path / "run" / "broken.jsonl") == []
    assert not any(word in done.stderr for word in ("gout", "heart"))


def test_what_broke_is_listed_and_not_told(tmp_path: Path) -> None:
    rows = (
        f"P{number}\t{phrase}\tdisease\n" for number, phrase in enumerate((*english().names.phrases, "gout"))
    )
    (tmp_path / "odd.tsv").write_text("id\tname\ttypes\n" + "".join(rows))
    done = evaluate(tmp_path, "--kb", "odd.tsv", "--perturb", "non-entity", "--out", "run", "--json")
    assert done.returncode == 0, done.stderr
    [whole, row] = json.loads(done.stdout)["robustness"]
    assert (whole["kind"], row["kind"]) == ("changed", "non-entity")
    assert row["followed"] == {"right": 0, "of": 1, "share": 0.0, "ci95": [0.0, 0.0]}
    [broken] = lines(tmp_path / "run" / "broken.jsonl")
    before, after = broken["before"], broken["after"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert [e["text"] for e in before["found"]] == ["gout"]
    assert len(after["found"]) == 2
    assert after["gold"] == []
    assert not any(phrase in done.stderr for phrase in (*english().names.phrases, "gout"))


@pytest.mark.parametrize(
    ("arguments", "told", "status"),
    [
        (["--perturb", "cse"], "did you mean 'case'?", 2),
        (["--perturb", "all", "--kb", "none"], "--perturb concept, synonym needs a knowledge base", 2),
        (["--perturb", "case", "--shots", "0,1"], "give each option one value", 2),
        (["--perturb", "case", "--predictions", "gold.jsonl"], "leave out --predictions", 2),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, arguments: list[str], told: str, status: int) -> None:
    done = evaluate(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
