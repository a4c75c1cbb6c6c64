"""``dirag eval`` and ``dirag compare`` as a process: concepts, every scheme, run folders."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from command import dirag

Run = Callable[..., subprocess.CompletedProcess[str]]

VOCABULARY = (
    "id\tname\tsynonyms\ttypes\txrefs\nMESH:D001249\tasthma\t\tdisease\t\nMESH:D006073\tgout\t\tdisease\t\n"
)
TEXTS = ["She has asthma and gout.", "No asthma.", "Gout, not flu."]
NAMES = {"asthma": "D001249", "gout": "D006073", "flu": "D007251"}


def record(number: int, text: str, names: Sequence[str], *, ids: bool = True) -> dict[str, object]:
    entities = []
    for name in names:
        start = text.lower().index(name)
        entity: dict[str, object] = {"start": start, "end": start + len(name), "type": "disease"}
        entities.append(entity | ({"concept": {"id": NAMES[name]}} if ids else {}))
    return {"id": str(number), "text": text, "entities": entities}


def write(path: Path, found: Sequence[Sequence[str]], *, ids: bool = True) -> None:
    records = [
        record(n, text, names, ids=ids) for n, (text, names) in enumerate(zip(TEXTS, found, strict=True))
    ]
    path.write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gold standard, a vocabulary, and the predictions of two systems with their run folders."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "names.tsv").write_text(VOCABULARY, encoding="utf-8")
    write(folder / "gold.jsonl", [["asthma", "gout"], ["asthma"], ["gout", "flu"]])
    write(folder / "mine.jsonl", [["asthma"], ["asthma"], ["gout"]])
    write(folder / "theirs.jsonl", [["asthma", "gout"], [], ["gout", "flu"]], ids=False)
    for name in ("mine", "theirs"):
        scored = ["eval", "--dataset", "gold.jsonl", "--predictions", f"{name}.jsonl", "--out", name]
        assert dirag(folder, *scored).returncode == 0
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Run:
    """The tool in a copy of that folder."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return partial(dirag, tmp_path)


def test_entities_are_linked_where_the_base_has_the_ids_of_the_gold_standard(
    run: Run, tmp_path: Path
) -> None:
    tagged = ["eval", "--dataset", "gold.jsonl", "--tagger", "dictionary", "--kb", "names.tsv"]
    done = run(*tagged, "--scores", "all", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert "holds 2 of the 3 ids of the gold standard: entities are linked" in done.stderr
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    scores = report["scores"]
    assert list(scores) == ["strict", "exact", "partial", "type", "token", "concept", "mention", "linking"]
    # Each document names its concepts once: all but flu are found.
    concept = {key: scores["concept"][key] for key in ("gold", "predicted", "correct", "missed", "spurious")}
    assert concept == {"gold": 5, "predicted": 4, "correct": 4, "missed": 1, "spurious": 0}
    assert scores["linking"]["f1"] == 1.0
    shown = done.stdout
    assert "concepts: P 1.000 R 0.800 F1 0.889" in shown
    rows = [line.split()[:2] for line in shown.splitlines()]
    assert all([scheme, "all"] in rows for scheme in scores)
    gold = [json.loads(line) for line in (tmp_path / "run" / "gold.jsonl").read_text().splitlines()]
    assert [len(each["entities"]) for each in gold] == [2, 1, 2]


def test_ids_that_the_base_does_not_have_are_not_compared(run: Run, tmp_path: Path) -> None:
    other = VOCABULARY.replace("MESH:D", "X:")
    (tmp_path / "other.tsv").write_text(other, encoding="utf-8")
    done = run("eval", "--dataset", "gold.jsonl", "--tagger", "dictionary", "--kb", "other.tsv", "--json")
    assert done.returncode == 0, done.stderr
    assert "holds 0 of the 3 ids" in done.stderr
    assert "concept" not in json.loads(done.stdout)["scores"]


def test_a_corpus_without_a_telling_suffix_needs_its_format(run: Run, tmp_path: Path) -> None:
    (tmp_path / "gold.txt").write_text(
        "1|t|Gout\n1|a|None.\n1\t0\t4\tGout\tdisease\tD006073\n", encoding="utf-8"
    )
    tagged = ["eval", "--dataset", "gold.txt", "--tagger", "dictionary", "--kb", "names.tsv", "--json"]
    done = run(*tagged, "--input-format", "pubtator")
    assert json.loads(done.stdout)["scores"]["concept"]["f1"] == 1.0


def test_run_folders_and_predictions_compare_alike(run: Run, tmp_path: Path) -> None:
    shown = run("compare", "mine", "theirs")
    assert (shown.returncode, shown.stderr) == (0, "")
    made = json.loads(run("compare", "mine.jsonl", "theirs", "--dataset", "gold.jsonl", "--json").stdout)
    rows = {line.split()[0]: line for line in shown.stdout.splitlines() if line}
    for kind, figures in (("all", made), ("disease", made["per_type"]["disease"])):
        for part in (f"{figures['a']['f1']:.3f} (", f"{figures['b']['f1']:.3f} (", f"{figures['p']:.4f}"):
            assert part in rows[kind]
    assert rows["2"].split() == ["2", "missed", "correct"]
    reports = [json.loads((tmp_path / name / "report.json").read_text()) for name in ("mine", "theirs")]
    for side, report in zip("ab", reports, strict=True):
        assert {key: made[side][key] for key in ("f1", "ci95", "gold")} == {
            key: report[key] for key in ("f1", "ci95", "gold")
        }
    assert made["difference"] == round(8 / 9 - 6 / 8, 4)
    assert made["entities"] == [
        {"a": "missed", "b": "correct", "number": 2},
        {"a": "correct", "b": "missed", "number": 1},
    ]


def test_runs_over_different_gold_are_refused_in_a_sentence(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "gold.jsonl", [["asthma", "gout"], [], ["gout", "flu"]])
    again = ["eval", "--dataset", "gold.jsonl", "--predictions", "mine.jsonl", "--out", "again"]
    assert run(*again).returncode == 0
    done = run("compare", "mine", "again")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "mine and again were scored on different gold: document 2" in line
    assert "asthma" not in line


def test_runs_over_different_types_are_refused(run: Run, tmp_path: Path) -> None:
    gene = b'{"id": "g", "text": "TP53", "entities": [{"start": 0, "end": 4, "type": "gene"}]}\n'
    gold = (tmp_path / "gold.jsonl").read_bytes()
    for name, more in (("mine", gene), ("theirs", b"")):
        (tmp_path / "gold.jsonl").write_bytes(gold + more)
        scored = ["eval", "--dataset", "gold.jsonl", "--predictions", f"{name}.jsonl", "--out", name]
        assert run(*scored).returncode == 0
        (tmp_path / name / "gold.jsonl").write_bytes(gold)
    done = run("compare", "mine", "theirs")
    assert done.returncode == 1
    assert "different types: disease, gene; disease" in done.stderr


def test_a_run_that_did_not_end_is_refused_with_the_cure(run: Run, tmp_path: Path) -> None:
    (tmp_path / "theirs.jsonl").write_bytes(
        (tmp_path / "theirs.jsonl").read_bytes().replace(b"asthma", b"Asthma")
    )
    failed = run("eval", "--dataset", "gold.jsonl", "--predictions", "theirs.jsonl", "--out", "theirs")
    assert "made on another text" in failed.stderr
    done = run("compare", "mine", "theirs")
    assert done.returncode == 1
    assert "theirs is no run of dirag eval --out that ended" in done.stderr
    assert "--dataset" in done.stderr


def test_documents_without_predictions_are_told(run: Run, tmp_path: Path) -> None:
    first = (tmp_path / "mine.jsonl").read_bytes().splitlines(keepends=True)[0]
    (tmp_path / "mine.jsonl").write_bytes(first)
    done = run("compare", "mine.jsonl", "theirs.jsonl", "--dataset", "gold.jsonl", "--json")
    assert done.returncode == 0
    assert "mine.jsonl has no predictions for 2 gold documents" in done.stderr
    assert json.loads(done.stdout)["missing"] == [2, 0]
