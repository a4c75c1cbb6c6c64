"""``dirag.open``: the library's door gives what the command line gives, and refuses what it would refuse."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import DIRAG

import dirag
from dirag import config
from dirag.errors import UsageError
from dirag.formats import jsonl

TEXTS = ["She has asthma.", "", "Gout and asthma; no gout."]


@pytest.fixture
def vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "home"))
    path = tmp_path / "names.tsv"
    path.write_text("id\tname\ttypes\nC:1\tasthma\tdisease\nC:2\tgout\tdisease\nC:3\tasthma\tchemical\n")
    return path


def test_records_are_those_of_the_command_line(vocabulary: Path) -> None:
    notes = "".join(json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(TEXTS, start=1))
    options = ("--tagger", "dictionary", "--types", "disease", "--kb", str(vocabulary))
    shown = subprocess.run(
        [*DIRAG, "tag", "-", "-q", "--input-format", "jsonl", *options],
        input=notes.encode(),
        stdout=subprocess.PIPE,
        env=os.environ,
        check=True,
    ).stdout
    with dirag.open(tagger="dictionary", types=["disease"], kb=str(vocabulary)) as ner:
        results = list(ner.tag(TEXTS))
    records = [json.loads(line) for line in shown.splitlines()]
    for record, result in zip(records, results, strict=True):
        assert record["entities"] == json.loads(jsonl.dumps(result))["entities"]
        assert record["id"] == result.document.id
    assert [entity.concept.id for entity in results[2].entities if entity.concept] == ["C:2", "C:1", "C:2"]
    assert [entity.status for entity in results[2].entities] == [(), (), ("negated",)]
    assert ner.types == ("disease",)


def test_status_is_of_the_types_that_can_have_one_and_can_be_switched_off(vocabulary: Path) -> None:
    text = "No asthma."
    options = {"tagger": "dictionary", "kb": str(vocabulary)}
    with dirag.open(types=["chemical"], **options) as ner:
        assert [entity.status for entity in next(ner.tag([text])).entities] == [None]
    with dirag.open(types=["disease"], status=False, **options) as ner:
        [entity] = json.loads(jsonl.dumps(next(ner.tag([text]))))["entities"]
        assert "status" not in entity


def test_documents_are_read_as_they_come(vocabulary: Path) -> None:
    def endless() -> Iterator[str]:
        while True:
            yield "She has asthma."

    with dirag.open(tagger="dictionary", kb=str(vocabulary)) as ner:
        results = ner.tag(endless())
        assert [next(results).document.id, next(results).document.id] == ["1", "2"]


@pytest.mark.parametrize(
    "options, message, hint",
    [
        ({"type": ["disease"]}, "unknown option 'type'", "did you mean 'types'?"),
        ({"tagger": "llama"}, "option 'tagger' is 'llama'", "one of auto, llm, ensemble"),
        ({"shots": -1}, "option 'shots' is -1", "a whole number, 0 or more"),
        ({"shots": True}, "option 'shots' is True", "a whole number"),
        ({"min_score": 1.5}, "option 'min_score' is 1.5", "a number, 0 or more, 1 at most"),
        (
            {"concept_matches": ["exakt"]},
            "option 'concept_matches' is ['exakt']",
            "exact, fuzzy, dense",
        ),
        ({"types": 3}, "option 'types' is 3", "names, as a list or with commas"),
        ({"kb": None}, "option 'kb' is None", "a string"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        dirag.open(**options)
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_values_of_every_form_become_those_of_the_fields() -> None:
    assert config.configure(types="disease, gene", adapter="none").types == ("disease", "gene")
    assert config.configure(types=["gene"], adapter="none").types == ("gene",)
    assert config.configure(temperature=1, adapter="none") == config.Config(temperature=1.0, adapter="none")


def test_every_default_is_a_value_that_its_option_admits() -> None:
    for name in config.options():
        assert config.checked_value(name, getattr(config.Config(), name)) == getattr(config.Config(), name)
