"""``dirag eval`` over several values of an option, as a process: rows, folders, what is not run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import dirag

VOCABULARIES = {
    "few.tsv": "id\tname\ttypes\nC:1\tasthma\tdisease\n",
    "more.tsv": "id\tname\ttypes\nC:1\tasthma\tdisease\nC:2\tgout\tdisease\n",
}
TEXTS = ["She has asthma and gout.", "No asthma.", "Gout again."]
EVAL = ("eval", "--dataset", "gold.jsonl", "--tagger", "dictionary", "--kb", "few.tsv,more.tsv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("grid")
    for name, content in VOCABULARIES.items():
        (made / name).write_text(content)
    records = []
    for number, text in enumerate(TEXTS):
        places = [(text.lower().find(name), len(name)) for name in ("asthma", "gout")]
        entities = [{"start": at, "end": at + size, "type": "disease"} for at, size in places if at >= 0]
        records.append(json.dumps({"id": str(number), "text": text, "entities": entities}) + "\n")
    (made / "gold.jsonl").write_text("".join(records))
    return made


def test_each_row_is_the_run_of_its_values(folder: Path) -> None:
    done = dirag(folder, *EVAL, "--min-score", "0,1", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row.pop("cell") for row in rows] == [
        {"kb": kb, "min_score": score} for kb in VOCABULARIES for score in ("0.0", "1.0")
    ]
    for row in rows:
        values = ("--kb", row["config"]["kb"], "--min-score", str(row["config"]["min_score"]))
        alone = json.loads(dirag(folder, *EVAL[:-2], *values, "--json").stdout)
        assert row | {"seconds": 0} == alone | {"seconds": 0}
    assert rows[0]["f1"] < rows[2]["f1"] == 1


def test_what_is_finished_is_not_run_again(folder: Path) -> None:
    first = dirag(folder, *EVAL, "--out", "runs")
    assert "kb: more.tsv less few.tsv" in first.stdout
    compared = json.loads(dirag(folder, "compare", "runs/kb=few.tsv", "runs/kb=more.tsv", "--json").stdout)
    assert f"{compared['difference']:+.3f}" in first.stdout
    reports = [folder / "runs" / f"kb={kb}" / "report.json" for kb in VOCABULARIES]
    before = [path.stat().st_mtime_ns for path in reports]
    reports[1].unlink()
    again = dirag(folder, *EVAL, "--out", "runs")
    assert reports[0].stat().st_mtime_ns == before[0]
    assert reports[1].is_file()
    assert again.stdout.splitlines()[1] == first.stdout.splitlines()[1]
    other = dirag(folder, *EVAL, "--out", "runs", "--min-score", "0.5")
    assert other.returncode == 2
    assert "was made with --min-score 0.0, not 0.5" in other.stderr
    how_it_goes = ("--retries", "9", "--timeout", "7", "--threads", "1", "--parallel", "3")
    assert reports[0].stat().st_mtime_ns == before[0]
    assert dirag(folder, *EVAL, "--out", "runs", *how_it_goes).returncode == 0
    assert reports[0].stat().st_mtime_ns == before[0]
    drawn_otherwise = dirag(folder, *EVAL, "--out", "runs", "--seed", "7")
    assert "was made with --seed 0, not 7" in drawn_otherwise.stderr
    smaller = dirag(folder, *EVAL, "--out", "runs", "--limit", "2")
    assert smaller.returncode == 2
    assert "3 documents, not 2" in smaller.stderr


def test_runs_that_nothing_tells_apart_are_shared(folder: Path) -> None:
    done = dirag(folder, *EVAL[:-1], "few.tsv", "--shots", "0", "--selector", "knn,random", "--out", "shared")
    assert done.stderr.count("documents, ") == 1
    one, two = ((folder / "shared" / f"selector={name}") for name in ("knn", "random"))
    assert (one / "predictions.jsonl").read_bytes() == (two / "predictions.jsonl").read_bytes()
    for run, selector in ((one, "knn"), (two, "random")):
        assert json.loads((run / "report.json").read_bytes())["config"]["selector"] == selector


@pytest.mark.parametrize(
    "options, told",
    [
        (("--seed", "1,2"), "--seed has 2 values"),
        (("--timeout", "10,20"), "--timeout has 2 values"),
        (("--retries", "1,2"), "--retries has 2 values"),
        (("--record", "r.jsonl"), "--record keeps one run"),
        (("--predictions", "gold.jsonl"), "--predictions are of one run"),
        (("--kb", "few.tsv,./few.tsv"), "the same last part"),
        (("--shots", "1,x"), "'x' is not a valid integer"),
    ],
)
def test_what_is_refused(folder: Path, options: tuple[str, ...], told: str) -> None:
    done = dirag(folder, *EVAL, *options)
    assert done.returncode == 2
    assert told in done.stderr


def test_report_has_a_row_for_each_run_with_the_figures_of_its_report(folder: Path) -> None:
    priced = dirag(folder, *EVAL, "--min-score", "0,1", "--out", "table", "--price", "0.5", "2")
    assert "cost" in priced.stdout
    done = dirag(folder, "report", "table")
    head, *rows = [line.split() for line in done.stdout.splitlines()]
    runs = sorted((folder / "table").iterdir())
    assert (head[:4], head[-1]) == (["run", "P", "R", "F1"], "cost")
    assert {row[-1] for row in rows} == {"0.0000"}  # no model, no tokens
    assert [row[0] for row in rows] == [run.name for run in runs]
    for row, run in zip(rows, runs, strict=True):
        told = json.loads((run / "report.json").read_text())
        figures = [told["precision"], told["recall"], told["f1"], *told["ci95"]]
        assert [float(row[n]) for n in (1, 2, 3, 4, 6)] == pytest.approx(figures, abs=0.0005)


def test_report_refuses_runs_over_different_gold(folder: Path) -> None:
    dirag(folder, *EVAL[:-2], "--kb", "few.tsv", "--out", "all")
    dirag(folder, *EVAL[:-2], "--kb", "few.tsv", "--limit", "2", "--out", "two")
    done = dirag(folder, "report", "all", "two")
    assert (done.returncode, "different gold" in done.stderr) == (1, True)
