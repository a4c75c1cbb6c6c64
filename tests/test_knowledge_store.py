"""The knowledge base as a directory: what goes in comes out, and what does not fit is refused."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag import artifacts
from dirag.data import Concept
from dirag.errors import ArtifactError, KnowledgeError
from dirag.knowledge import base, exact, writer
from dirag.knowledge.store import SCHEMA, Source, Store

CONCEPTS = (
    Concept("D:1", "Ague", ("Marsh fever",), ("disease",), "Fever with chills.", "toy"),
    Concept("D:2", "Fièvre α 😀", (), (), "", "toy"),
    Concept("D:3", "Neoplasm, Breast", ("BRCA",), ("neoplasm", "phenotype"), "", "toy"),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def built(folder: Path, concepts: Sequence[Concept] = CONCEPTS) -> Path:
    writer.write(concepts, folder, sources=[Source("toy", "0" * 64, "MIT", len(concepts), {"odd": 2})])
    return folder


def test_concepts_and_manifest_come_back(tmp_path: Path) -> None:
    store = Store(built(tmp_path / "kb"))
    assert tuple(store.concept(number) for number in range(3)) == CONCEPTS
    assert store.manifest.concepts == 3
    assert store.manifest.sources == (Source("toy", "0" * 64, "MIT", 3, {"odd": 2}),)
    assert store.manifest.types == (("disease",), (), ("neoplasm", "phenotype"))
    rows = {store.alias(row) for row in range(store.manifest.names)}
    assert rows == {"Ague", "Marsh fever", "Fièvre α 😀", "Neoplasm, Breast", "BRCA", "Breast Neoplasm"}
    store.close()


def test_the_same_concepts_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = built(tmp_path / "one"), built(tmp_path / "two")
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {p.name: p.read_bytes() for p in two.iterdir()}


def test_a_knowledge_base_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    built(tmp_path / "kb", CONCEPTS[:1])
    assert Store(built(tmp_path / "kb")).manifest.concepts == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(KnowledgeError, match="is no knowledge base"):
        built(tmp_path / "mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kb", "mine"]


def test_a_build_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    built(tmp_path / "kb")

    def broken() -> Sequence[Concept]:
        raise KnowledgeError("broken")

    with pytest.raises(KnowledgeError, match="broken"):
        writer.write((broken()[0] for _ in range(1)), tmp_path / "kb")
    with pytest.raises(KnowledgeError, match="holds no concept"):
        writer.write([], tmp_path / "kb")
    assert Store(tmp_path / "kb").manifest.concepts == 3
    assert [path.name for path in tmp_path.iterdir()] == ["kb"]


def test_old_leftovers_are_swept(tmp_path: Path) -> None:
    for name, age in ((".kb.part-old", 7200), (".kb.part-new", 0)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    built(tmp_path / "kb")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".kb.part-new", "kb"]


def test_builds_at_the_same_time_leave_one_whole(tmp_path: Path) -> None:
    threads = [threading.Thread(target=built, args=(tmp_path / "kb",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Store(tmp_path / "kb").concept(0) == CONCEPTS[0]
    assert [path.name for path in tmp_path.iterdir()] == ["kb"]


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"schema": 99}, f"has schema 99, this version reads {SCHEMA}"),
        ({"byteorder": "middle"}, "built on a middle-endian machine"),
        ({"files": {"edges.q": 1}}, r"edges\.q has [\d,]+ bytes, not 1"),
        ({"files": {"absent.i": 4}}, r"absent\.i is missing"),
    ],
)
def test_a_mismatch_is_refused_with_its_reason(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    manifest = built(tmp_path / "kb") / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **change}))
    with pytest.raises(KnowledgeError, match=reason):
        Store(tmp_path / "kb")


def test_a_folder_without_or_with_a_broken_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="no knowledge base"):
        Store(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(KnowledgeError, match=r"cannot read .*manifest\.json"):
        Store(tmp_path)


WORDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(tuple)


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1, unique=True), st.lists(st.sampled_from("abcx"), max_size=12))
def test_the_trie_finds_what_brute_force_finds(names: list[tuple[str, ...]], text: list[str]) -> None:
    keys = sorted(names)
    words, arrays = exact.build(keys)
    trie = exact.Trie({word: number for number, word in enumerate(words)}, **arrays)
    assert [trie.find(key) for key in keys] == list(range(len(keys)))
    expected = {
        (first, last, keys.index(tuple(text[first:last])))
        for first in range(len(text))
        for last in range(first + 1, len(text) + 1)
        if tuple(text[first:last]) in names
    }
    found = list(trie.matches(text))
    assert len(found) == len(expected)
    assert set(found) == expected
    assert (trie.find(tuple(text)) >= 0) == (tuple(text) in names)


def test_a_vocabulary_file_is_built_once(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "own.tsv"
    path.write_text("id\tname\ttypes\nX:1\tAgue\tdisease\nX:2\t\t\n")
    with_counts = base.open_path(path)
    said = capsys.readouterr().err
    assert "indexed 1 names of 1 concepts" in said
    assert "1 x row without id or name, first at own.tsv:3" in said
    assert with_counts.manifest.sources[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    base.open_path(path)
    assert capsys.readouterr().err == ""
    path.write_text("id\tname\nX:1\tGout\n")
    assert base.open_path(path).index.lookup(["gout"], k=1)[0][0].concept.id == "X:1"
    assert len(list((home / "kb").iterdir())) == 2


def test_a_damaged_cache_is_built_anew(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "own.tsv"
    path.write_text("id\tname\nX:1\tAgue\n")
    base.open_path(path, progress=False).close()
    (folder,) = (home / "kb").iterdir()
    (folder / "edges.q").write_bytes(b"")
    (folder / "ends.i").unlink()
    assert base.open_path(path, progress=False).index.scan("ague")


def test_opening_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="cannot read the vocabulary"):
        base.open_path(tmp_path / "absent.obo")
    with pytest.raises(KnowledgeError, match="no knowledge base"):
        base.open_path(tmp_path)


def test_the_default_says_what_to_fetch_when_offline() -> None:
    with pytest.raises(ArtifactError, match="dirag models pull icd10cm-2026"):
        base.open_default(offline=True)


def test_the_default_is_fetched_and_indexed_on_first_use(
    tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "icd10cm-2026": shared_data / "vocab/icd10cm/icd10c-tabular-April-1-2026.xml",
        "hpo-2025-01-16": shared_data / "vocab/hpo/hp.obo",
    }
    for name, path in files.items():
        artifacts.pull(name, source=path, progress=False)
    kb = base.open_default(offline=True, progress=False)
    assert kb.manifest.concepts > 65_000
    kb.close()
    begun = time.perf_counter()
    index = base.open_default(offline=True).index
    assert time.perf_counter() - begun < 1.0
    text = "PMH: type 2 diabetes mellitus and shortness of breath. No PAIN; family history of gout."
    found = {text[hit.start : hit.end]: hit.concept.id for hit in index.scan(text)}
    assert found["type 2 diabetes mellitus"] == "ICD10CM:E11"
    assert found["shortness of breath"] == "ICD10CM:R06.02"
    assert {"PAIN", "gout"} <= set(found)
    assert isinstance(artifacts.known(), MappingProxyType)
