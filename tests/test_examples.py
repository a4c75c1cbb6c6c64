"""What stands in ``examples/`` runs, and does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from dirag.knowledge import defaults

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
VOCABULARIES = defaults.read().vocabularies


def run(*command: str, cwd: Path, **variables: str) -> str:
    """What a command prints where ``dirag`` and ``python3`` are those of this environment."""
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": places, "DIRAG_OFFLINE": "1", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_abstracts_are_records() -> None:
    records = [orjson.loads(line) for line in (EXAMPLES / "abstracts.jsonl").read_bytes().splitlines()]
    assert len({record["id"] for record in records}) == len(records) > 1
    assert all(record["text"].strip() for record in records)


def test_shell_example_counts_what_is_tagged(weights: Callable[[str], Path], tmp_path: Path) -> None:
    for name in VOCABULARIES:
        weights(name)
    counted = run("sh", str(EXAMPLES / "tag.sh"), cwd=tmp_path)
    options = ("--tagger", "dictionary", "--types", "disease,symptom")
    tagged = run("dirag", "tag", str(EXAMPLES / "abstracts.jsonl"), *options, cwd=tmp_path)
    types = Counter(e["type"] for line in tagged.splitlines() for e in orjson.loads(line)["entities"])
    assert types
    assert [line.split() for line in counted.splitlines()] == [
        [str(number), f'"type":"{name}"'] for name, number in types.most_common()
    ]


@pytest.mark.weights
def test_python_example_prints_spans_of_its_sentence(weights: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("smollm2-135m-instruct", "all-minilm-l6-v2", *VOCABULARIES):
        weights(name)
    rows = [line.split("\t") for line in run("python3", str(EXAMPLES / "tag.py"), cwd=tmp_path).splitlines()]
    text = "Metformin was stopped when lactic acidosis developed."
    assert text in (EXAMPLES / "tag.py").read_text(encoding="utf-8")
    assert rows
    for start, end, type_, mention, _concept in rows:
        assert text[int(start) : int(end)] == mention
        assert type_ in ("disease", "chemical")


def test_study_ends_in_a_table_and_a_page(tmp_path: Path) -> None:
    (tmp_path / "gold.tsv").write_text(
        "Gout\tB-disease\nand\tO\nasthma\tB-disease\n\nNo\tO\ngout\tB-disease\n"
    )
    (tmp_path / "names.tsv").write_text("id\tname\ttypes\nC:1\tgout\tdisease\n")
    arguments = ("gold.tsv", "names.tsv", "out")
    alone = {
        "DIRAG_TAGGER": "dictionary",
        "DIRAG_HOME": str(tmp_path / "home"),
    }  # its commands, without a model
    shown = run("sh", str(EXAMPLES / "study.sh"), *arguments, cwd=tmp_path, **alone)
    _, _, table = shown.rpartition("\nrun ")
    runs = {line.split()[0]: line.split()[1:4] for line in table.splitlines()[1:]}
    assert len(runs) == 4 * 2 * 2 * 2 + 4 + 2
    assert set(map(tuple, runs.values())) == {("1.000", "0.667", "0.800")}
    assert "<html" in (tmp_path / "out" / "page.html").read_text("utf-8")
