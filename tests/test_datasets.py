from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.corpora import catalogue, datasets
from dirag.corpora.catalogue import Known, Split
from dirag.corpora.datasets import Dataset, load, sample, split_name
from dirag.data import Document
from dirag.errors import DatasetError, UsageError

BIO = "a\tO\nbad\tB-Bad\nflu\tI-Bad\n\nTP53\tB-Gene\n.\tO\n"
TINY = Known(
    name="tiny",
    folder="tiny-bio",
    url="https://example.invalid/tiny",
    home="https://example.invalid",
    licence="CC0",
    format="conll",
    types={"Bad": "disease"},
    splits={"test": Split("test.tsv", hashlib.sha256(BIO.encode()).hexdigest(), 2, {"disease": 1})},
)


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No corpora but those of the test, and no way out."""
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DIRAG_OFFLINE", "1")
    monkeypatch.delenv("DIRAG_DATA", raising=False)


def record(monkeypatch: pytest.MonkeyPatch, corpus: Known = TINY) -> None:
    monkeypatch.setattr(datasets, "known", lambda: {corpus.name: corpus})


def put(path: Path, text: str = BIO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def found(dataset: Dataset) -> list[list[tuple[str, str]]]:
    return [[(e.text, e.type) for e in document.entities] for document in dataset.documents]


# What is on record


@pytest.mark.parametrize(
    "name, split", [(name, split) for name, corpus in catalogue.known().items() for split in corpus.splits]
)
def test_every_corpus_on_record_is_what_the_record_says(shared_data: Path, name: str, split: str) -> None:
    dataset = load(name, split=split, data_dir=str(shared_data))
    corpus = catalogue.known()[name]
    assert dataset.notes == ()
    assert dataset.sha256 == {corpus.splits[split].file: corpus.splits[split].sha256}
    assert len(dataset.documents) == corpus.splits[split].documents
    entities = Counter(entity.type for document in dataset.documents for entity in document.entities)
    assert entities == {kind: corpus.splits[split].entities[kind] for kind in dataset.types}
    twice = (
        1 if (name, split) == ("ncbi-disease-pubtator", "train") else 0
    )  # an abstract of the release itself
    assert len({document.id for document in dataset.documents}) == len(dataset.documents) - twice
    assert (dataset.split, dataset.source, dataset.licence) == (split, corpus.home, corpus.licence)


def test_one_type_of_a_corpus_is_the_whole_one_without_the_other(shared_data: Path) -> None:
    whole, part = (load(name, data_dir=str(shared_data)) for name in ("bc5cdr", "bc5cdr-disease"))
    assert part.types == ("disease",)
    for both, one in zip(whole.documents, part.documents, strict=True):
        assert one == replace(both, entities=tuple(e for e in both.entities if e.type == "disease"))


# What deviates


def test_labels_become_our_types_and_others_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record(monkeypatch)
    put(tmp_path / "tiny-bio/test.tsv")
    dataset = load("tiny", data_dir=str(tmp_path))
    assert (found(dataset), dataset.notes) == ([[("bad flu", "disease")], []], ())


def test_another_copy_with_the_same_figures_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record(monkeypatch)
    put(tmp_path / "tiny-bio/test.tsv", BIO + "\n")
    (note,) = load("tiny", data_dir=str(tmp_path)).notes
    assert "another copy of tiny" in note


def test_near_figures_are_told_and_far_ones_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put(tmp_path / "tiny-bio/test.tsv", BIO * 20)
    near = Split("test.tsv", "0" * 64, 22, {"disease": 20})
    record(monkeypatch, replace(TINY, splits={"test": near}))
    dataset = load("tiny", data_dir=str(tmp_path))
    assert len(dataset.documents) == 21
    assert any("has 21 documents, not 22" in note for note in dataset.notes)
    for far in (replace(near, documents=30), replace(near, entities={"disease": 30})):
        record(monkeypatch, replace(TINY, splits={"test": far}))
        with pytest.raises(DatasetError, match="as on record for tiny"):
            load("tiny", data_dir=str(tmp_path))


def test_what_the_reader_lost_is_told(tmp_path: Path) -> None:
    path = put(tmp_path / "gold.tsv", BIO + "\nb\tX\n")
    (note,) = load(str(path)).notes
    assert note.startswith("1 issues in reading the gold standard, the first at ")


# Paths and names


def test_a_path_to_a_file_is_read_whole_and_says_no_split(tmp_path: Path) -> None:
    dataset = load(str(put(tmp_path / "gold.tsv")), split="devel")
    assert (dataset.split, dataset.types, dataset.notes) == (None, ("bad", "gene"), ())
    assert found(dataset) == [[("bad flu", "bad")], [("TP53", "gene")]]
    assert dataset.sha256 == {"gold.tsv": TINY.splits["test"].sha256}


def test_a_jsonl_of_annotated_documents_is_a_corpus(tmp_path: Path) -> None:
    entity = {"start": 0, "end": 4, "type": "gene", "text": "TP53"}
    line = json.dumps({"id": "n1", "text": "TP53 is mutated", "entities": [entity]})
    dataset = load(str(put(tmp_path / "gold.jsonl", line + "\n")))
    assert (next(iter(dataset.documents)).id, dataset.types) == ("n1", ("gene",))


def test_of_a_folder_the_files_named_after_the_split_are_read(tmp_path: Path) -> None:
    put(tmp_path / "dev.tsv")
    put(tmp_path / "test.tsv", BIO + "\nmore\tO\n")
    put(tmp_path / "README.md", "nothing")
    dataset = load(str(tmp_path), split="validation")
    assert (dataset.split, len(dataset.documents), list(dataset.sha256)) == ("devel", 2, ["dev.tsv"])
    with pytest.raises(DatasetError, match=r"no split 'train', only devel, test"):
        load(str(tmp_path), split="train")


def test_a_folder_without_splits_is_read_whole_and_told(tmp_path: Path) -> None:
    put(tmp_path / "one.tsv")
    put(tmp_path / "two.tsv")
    dataset = load(str(tmp_path))
    assert (dataset.split, len(dataset.documents), sorted(dataset.sha256)) == (
        None,
        4,
        ["one.tsv", "two.tsv"],
    )
    assert "no files named after splits" in dataset.notes[0]


def test_a_format_can_be_named_where_the_suffix_misleads(tmp_path: Path) -> None:
    path = put(tmp_path / "gold.txt")
    assert load(str(path), format="conll").types == ("bad", "gene")
    with pytest.raises(DatasetError, match=r"name its format: .*conll"):
        load(str(path))


def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "gold.tsv"
    path.write_bytes(b"caf\xe9\tO\n")
    with pytest.raises(DatasetError, match=r"1 issues in reading .* unreadable"):
        load(str(path))


def test_a_text_without_gold_entities_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no annotated entities in its 1 documents"):
        load(str(put(tmp_path / "note.txt", "Seen in clinic.")))


def test_unknown_names_show_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'ncbi-disease'"):
        load("ncbi-diseases")
    with pytest.raises(UsageError, match="unknown split 'tset'"):
        load("ncbi-disease", split="tset")
    with pytest.raises(DatasetError, match=r"no file or folder 'gold/none\.tsv'"):
        load("gold/none.tsv")
    with pytest.raises(DatasetError, match="no split 'train' of jnlpba is on record, only devel, test"):
        load("jnlpba", split="train")


@pytest.mark.parametrize("ours, names", datasets.SPLITS.items())
def test_split_names(ours: str, names: tuple[str, ...]) -> None:
    assert {split_name(name) for name in names} == {split_name(ours.upper())} == {ours}


def test_documents_are_read_anew_and_what_is_passed_over_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "corpus" / "a.tsv")
    put(tmp_path / "corpus" / "notes.pdf")
    with caplog.at_level(logging.WARNING):
        dataset = load(str(tmp_path / "corpus"))
        first, second = list(dataset.documents), list(dataset.documents)
    assert first == second
    assert len(dataset.documents) == len(first) > 0
    assert all(document in dataset.documents for document in first)
    assert len(caplog.messages) == 1
    assert load(str(tmp_path / "corpus"), in_memory=True).documents == tuple(first)


# Samples


@given(st.integers(1, 40), st.integers(1, 45), st.integers(1, 45), st.integers(0, 5))
def test_the_laws_of_a_sample(size: int, one: int, other: int, seed: int) -> None:
    documents = [Document(str(i), "text") for i in range(size)]
    small, large = (sample(documents, limit, seed=seed) for limit in sorted((one, other)))
    assert len(small) == min(size, one, other)
    assert list(large) == [d for d in documents if d in large]
    assert {d.id for d in small} <= {d.id for d in large}
    assert small == sample(documents, min(one, other), seed=seed)


def test_samples_of_two_seeds_differ_and_empty_ones_are_refused() -> None:
    documents = [Document(str(i), "text") for i in range(100)]
    assert sample(documents, 10, seed=1) != sample(documents, 10, seed=2)
    with pytest.raises(UsageError, match="--limit 0"):
        sample(documents, 0)
