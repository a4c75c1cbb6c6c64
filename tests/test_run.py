"""Runs over a gold set without the command line: what counts, what is linked, what is written and told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from dirag.config import Config
from dirag.corpora.datasets import Dataset
from dirag.data import Document, Result
from dirag.evaluate.robustness.run import measure
from dirag.evaluate.run import GoldIds, GoldSet, evaluate
from dirag.evaluate.run_folder import RunFolder
from dirag.knowledge.base import KnowledgeBase

VOCABULARY = "id\tname\tsynonyms\ttypes\nMESH:D001249\tasthma\tbronchial asthma\tdisease\n"
TEXTS = ("She has asthma.", "No asthma, but gout.")


@dataclass
class Watching:
    """An observer that keeps what it is told."""

    lines: list[str] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    notices: list[Sequence[str]] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.lines.append(line)

    def add(self, result: Result) -> None:
        self.results.append(result)

    def finish(self, notices: Sequence[str]) -> None:
        self.notices.append(notices)


def record(number: int, text: str, *, id: str) -> str:
    entities = [
        {"start": start, "end": start + len(name), "type": kind, "concept": {"id": id}}
        for name, kind in (("asthma", "disease"), ("gout", "disease"), ("She", "person"))
        if (start := text.find(name)) >= 0
    ]
    return json.dumps({"id": str(number), "text": text, "entities": entities}) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "names.tsv").write_text(VOCABULARY)
    for name, id in (("gold", "D001249"), ("other", "D9")):
        lines = (record(number, text, id=id) for number, text in enumerate(TEXTS))
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    return tmp_path


@pytest.fixture
def config(folder: Path) -> Config:
    return Config(tagger="dictionary", kb=str(folder / "names.tsv"), types=("disease",), offline=True)


@pytest.mark.parametrize(
    ("split", "asked", "pool"),
    [
        ("test", "auto", "corpus"),
        ("devel", "auto", "corpus"),
        ("train", "auto", "auto"),
        (None, "auto", "auto"),
        ("test", "default", "default"),
        ("test", "mine", "mine"),
        ("train", "mine", "mine"),
    ],
)
def test_examples_come_from_the_train_split_unless_it_is_scored(
    split: str | None, asked: str, pool: str
) -> None:
    dataset = Dataset("a/corpus", split, (), ("gene",), {}, "CC0", "here")
    options = GoldSet("corpus", dataset, ()).options(Config(pool=asked, types=("disease",)))
    assert (options.pool, options.types) == (pool, ("gene",))


def test_the_sample_and_the_types_are_those_that_the_options_say(folder: Path, config: Config) -> None:
    gold = GoldSet.load(str(folder / "gold.jsonl"), config, limit=1)
    assert len(gold.documents) == 1
    assert len(gold.dataset.documents) == 2
    every = GoldSet.load(str(folder / "gold.jsonl"), config)
    assert [[e.text for e in document.entities] for document in every.restricted()] == [
        ["asthma"],
        ["asthma", "gout"],
    ]
    assert GoldSet.load(str(folder / "gold.jsonl"), replace(config, types=())).dataset.types == (
        "disease",
        "person",
    )


def test_a_run_is_scored_watched_and_written(folder: Path, config: Config) -> None:
    gold, watching = GoldSet.load(str(folder / "gold.jsonl"), config), Watching()
    report = evaluate(config, gold, price=(1.0, 2.0), folder=folder / "run", observer=watching)
    assert (report.score.micro.gold, report.score.micro.predicted, report.score.micro.correct) == (3, 2, 2)
    assert "linking" in report.score.concepts
    assert report.cost == 0.0
    assert watching.lines == [
        "the knowledge base holds 1 of the 1 ids of the gold standard: entities are linked",
        f"dictionary finds disease; knowledge base {folder / 'names.tsv'}",
    ]
    assert [len(result.entities) for result in watching.results] == [1, 1]
    assert watching.notices == [()]
    written = json.loads((folder / "run" / "report.json").read_text())
    assert written == json.loads(json.dumps(report.json()))
    assert written["config"]["tagger"] == "dictionary"
    lines = (folder / "run" / "predictions.jsonl").read_text().splitlines()
    assert [entity["concept"]["id"] for line in lines for entity in json.loads(line)["entities"]] == [
        "MESH:D001249"
    ] * 2


def test_ids_that_the_base_lacks_are_neither_linked_nor_compared(folder: Path, config: Config) -> None:
    gold, watching = GoldSet.load(str(folder / "other.jsonl"), config), Watching()
    report = evaluate(config, gold, observer=watching)
    assert report.score.concepts == {}
    assert "holds 0 of the 1 ids" in watching.lines[0]
    assert "none is linked" in watching.lines[0]


def test_predictions_of_another_system_bring_their_own_ids(folder: Path, config: Config) -> None:
    path = str(folder / "gold.jsonl")
    gold, watching = GoldSet.load(path, config), Watching()
    report = evaluate(replace(config, kb="default"), gold, predictions=path, observer=watching)
    assert report.score.concepts["mention"].micro.f1 == 1.0
    assert report.config == {"predictions": path, "min_score": config.min_score}
    assert watching == Watching()


@pytest.mark.parametrize("act", [evaluate, lambda config, gold: measure(config, gold, ["synonym"])])
def test_knowledge_bases_are_closed_again(
    act: Callable[[Config, GoldSet], object],
    folder: Path,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = {"opened": 0, "closed": 0}

    def counting(name: str, act: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: object, **named: object) -> None:
            counts[name] += 1
            act(*arguments, **named)

        return counted

    monkeypatch.setattr(KnowledgeBase, "__init__", counting("opened", KnowledgeBase.__init__))
    monkeypatch.setattr(KnowledgeBase, "close", counting("closed", KnowledgeBase.close))
    act(config, GoldSet.load(str(folder / "gold.jsonl"), config))
    assert counts["opened"] == counts["closed"] > 0


def test_without_a_base_ids_are_compared_as_they_are() -> None:
    assert GoldIds.of(None, [Document("1", "x")]).canonical_id() is str


def test_a_run_that_begins_has_no_report(tmp_path: Path) -> None:
    files = RunFolder(tmp_path / "run")
    files.begin()
    assert list(files.predictions([Result(Document("1", "x"))]))
    files.end({"done": True})
    assert json.loads((tmp_path / "run" / "report.json").read_text()) == {"done": True}
    files.begin()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["predictions.jsonl"]


def test_records_are_there_as_soon_as_they_are_yielded(tmp_path: Path) -> None:
    records = RunFolder(tmp_path).gold(Document(str(number), "x") for number in range(2))
    next(records)
    assert [json.loads(line)["id"] for line in (tmp_path / "gold.jsonl").read_text().splitlines()] == ["0"]
    assert len(list(RunFolder(None).gold([Document("1", "x")]))) == 1
