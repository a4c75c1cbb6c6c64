"""Every table that people look at, held against the text that it should be (tests/golden)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import scored_runs
from command import output

GOLDEN = Path(__file__).parent / "golden"
EVAL = ("eval", "--dataset", "gold.jsonl", "--predictions")
TABLES = {
    "eval": (*EVAL, "a.jsonl"),
    "eval-all": (*EVAL, "b.jsonl", "--scores", "all", "--calibration", "--price", "3", "5"),
    "compare": ("compare", "A", "B"),
    "report": ("report", "A", "A-sure", "B"),
    "kb-info": ("kb", "info", "base", "--check"),
}
VOCABULARY = "id\tname\tsynonyms\ttypes\nX:1\tasthma\tbronchial asthma\tdisease\nX:2\tzinc\t\tchemical\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    scored_runs.write(folder)
    (folder / "names.tsv").write_text(VOCABULARY, encoding="utf-8")
    output(folder, "kb", "build", "names.tsv", "-o", "base", "--encoder", "hash")
    return folder


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_the_golden_text(folder: Path, name: str) -> None:
    shown = output(folder, *TABLES[name])
    shown = re.sub(r"(?m)^\d+\.\d s; ", "0.0 s; ", shown)  # how long it took differs from run to run
    shown = re.sub(r"(?m)^(bytes +)[\d,]+|dirag \d\S*", r"\1-", shown)  # of the version and its length
    assert shown == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
