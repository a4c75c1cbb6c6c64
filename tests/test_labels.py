"""What labels mean: the table, pairs of one's own, and types that are asked for by another name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import output
from hypothesis import given
from hypothesis import strategies as st

from dirag.assembly import sources
from dirag.assembly.sources import read_pool
from dirag.config import Config
from dirag.corpora.datasets import load
from dirag.corpora.labels import TABLE, LabelMap, type_of
from dirag.errors import DatasetError, InputError, UsageError
from dirag.evaluate.run import GoldSet, evaluate

labels = st.text(st.characters(exclude_characters="="), min_size=1, max_size=12)


@given(labels.filter(str.isalpha))
def test_case_and_signs_between_words_never_count(label: str) -> None:
    for form in (label.lower(), f" {label}-"):
        assert LabelMap({"x": "y"}).one_of([form], label) == form
    assert TABLE(label) == TABLE(label.lower())
    assert type_of(f"{label}/{label}") == type_of(f"{label}_{label}".lower())


@pytest.mark.parametrize(
    ("label", "meaning"),
    [
        ("DiseaseOrPhenotypicFeature", "disease"),
        ("SpecificDisease", "disease"),
        ("Gene/Protein", "gene"),
        ("Species", "organism"),
        ("Krankheit", "krankheit"),
        ("疾病", "疾病"),
    ],
)
def test_labels_of_the_field_have_a_type_and_others_are_their_own(label: str, meaning: str) -> None:
    assert TABLE(label) == meaning
    assert LabelMap.of([f"{label.upper()}=Finding"])(label) == "finding"


@pytest.mark.parametrize("pair", ["Drug", "=chemical", "Drug=", "Drug= ", "-=x"])
def test_what_is_no_pair_is_refused(pair: str) -> None:
    with pytest.raises(UsageError, match="is no pair"):
        LabelMap.of([pair])


def test_types_are_asked_for_by_any_name_and_what_is_not_there_is_told() -> None:
    wanted = ("Drug", "DISEASE", "drug", "device")
    assert TABLE.among(wanted, ("chemical", "Disease")) == (["chemical", "Disease"], ["device"])
    assert LabelMap.of(["device=chemical"]).among(wanted, ("chemical",))[0] == ["chemical"]


def record(*entities: tuple[int, int, str], id: str = "n", text: str = "flu, aspirin") -> str:
    found = [{"start": start, "end": end, "type": label} for start, end, label in entities]
    return json.dumps({"id": id, "text": text, "entities": found}) + "\n"


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    path = tmp_path / "gold.jsonl"
    path.write_text(record((0, 3, "Dis"), (5, 12, "Drug")) + record(id="m", text="none"))
    return path


def test_a_corpus_at_a_path_has_the_types_that_its_labels_mean(gold: Path) -> None:
    assert load(str(gold)).types == ("chemical", "disease")
    assert load(str(gold), labels=LabelMap.of(["dis=finding"])).types == ("chemical", "finding")
    pool = sources.pool(Config(pool=str(gold), map=("Drug=Remedy",)))
    assert set(pool.manifest.types) == {"disease", "remedy"}


def test_a_type_that_the_gold_standard_lacks_is_refused(gold: Path) -> None:
    assert GoldSet.load(str(gold), Config(types=("DRUG",))).dataset.types == ("chemical",)
    with pytest.raises(DatasetError, match="has no entities of type gene") as caught:
        GoldSet.load(str(gold), Config(types=("gene", "Drug")))
    assert "chemical, disease" in str(caught.value.hint)


def test_predictions_have_the_types_of_the_gold_standard_and_one_record_a_document(
    gold: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text(record((0, 3, "DISEASE"), (5, 12, "chemicals")))
    set_of = GoldSet.load(str(gold), Config())
    report = evaluate(Config(), set_of, predictions=str(mine))
    assert report.score.micro.f1 == 1
    assert report.score.missing == ("m",)
    mine.write_text(record((0, 3, "disease")) * 2)
    with pytest.raises(InputError, match="has 2 records of the document 'n'"):
        evaluate(Config(), set_of, predictions=str(mine))


def test_which_documents_are_not_scored_is_told(gold: Path, tmp_path: Path) -> None:
    lines: list[str] = []

    class Listening:
        def say(self, line: str) -> None:
            lines.append(line)

        def add(self, result: object) -> None: ...

        def finish(self, notices: object) -> None: ...

    mine = tmp_path / "mine.jsonl"
    mine.write_text(record(id="x") + record(id="y"))
    evaluate(Config(), GoldSet.load(str(gold), Config()), predictions=str(mine), observer=Listening())
    assert lines == [
        f"{mine} has no record of 2 documents ('n', 'm') of the gold standard",
        f"the gold standard does not have 2 documents ('x', 'y') of {mine}",
    ]


def test_a_pool_is_built_with_labels_of_ones_own(gold: Path) -> None:
    output(
        gold.parent,
        "examples",
        "build",
        "gold.jsonl",
        "-o",
        "pool",
        "--encoder",
        "hash",
        "--map",
        "dis=finding",
    )
    assert set(read_pool(str(gold.parent / "pool")).manifest.types) == {"chemical", "finding"}
