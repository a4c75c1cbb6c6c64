"""The knowledge base as a directory: what goes in comes out, and what does not fit is refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Concept, Json
from dirag.errors import ArtifactError, KnowledgeError
from dirag.files import artifacts, known
from dirag.knowledge import base, defaults
from dirag.knowledge.index import exact, fuzzy
from dirag.knowledge.store import writer
from dirag.knowledge.store.sorting import Sorter
from dirag.knowledge.store.store import SCHEMA, Source, Store

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
        ({"files": {"trie_edges.q": {"size": 1, "sha256": ""}}}, r"trie_edges\.q has [\d,]+ bytes, not 1"),
        ({"files": {"absent.i": {"size": 4, "sha256": ""}}}, r"absent\.i is missing"),
        ({"files": {}}, r"lacks or cannot read '\w+\.\w'"),
        ({"files": {"words.q": 7}}, r"manifest\.json is damaged"),
        ({"sources": [{"title": "toy"}]}, r"manifest\.json is damaged"),
        ({"types": []}, r"concept_types\.i of the knowledge base is damaged"),
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
    numbers = {"a": 0, "b": 1, "c": 2}
    starts, words = [0], list[int]()
    for key in keys:
        words.extend(numbers[word] for word in key)
        starts.append(len(words))
    arrays = {file: found.tolist() for file, found in exact.build(starts, words, vocabulary=3).items()}
    trie = exact.Trie(
        numbers, *(arrays[f"trie_{name}"] for name in ("roots.i", "edges.q", "nodes.i", "ends.i"))
    )
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


FAMILY = (
    Concept("F:1", "Fever", xrefs=("UMLS:1", "F:2"), parents=("F:9", "F:1")),
    Concept("F:2", "Ague", xrefs=("UMLS:1",), parents=("F:1", "F:1", "X:0")),
    Concept("F:3", "Marsh ague", parents=("UMLS:1", "F:2")),
)


def test_concepts_are_found_by_id_and_know_their_relatives(tmp_path: Path) -> None:
    store = Store(built(tmp_path / "kb", FAMILY))
    assert [store.number_of(name) for name in ("F:1", "F:2", "F:3", "UMLS:1")] == [0, 1, 2, 0]
    assert [store.number_of(name) for name in ("", "F", "F:9", "f:1", "Z")] == [None] * 5
    assert [list(store.parents(number)) for number in range(3)] == [[0], [0], [0, 1]]
    assert [list(store.children(number)) for number in range(3)] == [[0, 1, 2], [2], []]
    assert store.manifest.unknown_parents == 2


@given(
    st.lists(
        st.tuples(st.text(), st.integers(-(2**63), 2**63 - 1), st.lists(st.text(max_size=3)).map(tuple))
    ),
    st.integers(1, 5),
)
def test_sorted_runs_merge_to_what_sorting_gives(rows: list[tuple[object, ...]], run: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Sorter[tuple[object, ...]](Path(folder), run=run) as sorter:
        for row in rows:
            sorter.add(row)
        found = list(sorter)
        assert list(Path(folder).iterdir()) == []
    assert [(*row[:2], tuple(row[2])) for row in found] == sorted(rows)  # type: ignore[arg-type]


def test_the_manifest_says_how_it_was_made_and_files_can_be_added(tmp_path: Path) -> None:
    def add(folder: Path) -> dict[str, Json]:
        assert Store(folder).manifest.names == 6
        (folder / "dense.f").write_bytes(b"1234")
        return {"encoder": "minilm@1", "dimension": 1}

    options: dict[str, Json] = {"language": "ENG"}
    writer.write(CONCEPTS, tmp_path / "kb", options=options, command="dirag kb build", extra=add)
    store = Store(tmp_path / "kb")
    manifest = store.manifest
    assert (manifest.options, manifest.command) == (options, "dirag kb build")
    assert (manifest.encoder, manifest.extra["dimension"]) == ("minilm@1", 1)
    assert manifest.files["dense.f"].sha256 == hashlib.sha256(b"1234").hexdigest()
    assert manifest.files.keys() == {path.name for path in (tmp_path / "kb").iterdir()} - {"manifest.json"}
    assert len(store.array("dense.f")) == 1
    store.verify()


def test_an_addition_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    def add(folder: Path) -> dict[str, Json]:
        raise KnowledgeError("no encoder")

    built(tmp_path / "kb", CONCEPTS[:1])
    with pytest.raises(KnowledgeError, match="no encoder"):
        writer.write(CONCEPTS, tmp_path / "kb", extra=add)
    assert Store(tmp_path / "kb").manifest.concepts == 1
    assert [path.name for path in tmp_path.iterdir()] == ["kb"]


def use(folder: Path) -> None:
    """Everything that can be asked of a knowledge base."""
    store = Store(folder)
    for number in range(store.manifest.concepts):
        store.concept(number), store.parents(number), store.children(number)
    [store.alias(row) for row in range(store.manifest.names)]
    near = fuzzy.Fuzzy(store.array)
    for key in range(store.manifest.keys):
        store.trie.find(tuple(store.key(key).split(" ")))
        near.search(store.key(key) + " agu", threshold=0.0, limit=3)
    list(store.trie.matches(["ague", "breast", "neoplasm", "fever"]))
    store.number_of("D:2")


def test_a_flipped_byte_is_found_and_never_leads_outside(tmp_path: Path) -> None:
    """Each bit of each file: used or refused in one sentence, and ``verify`` names the file."""
    folder = built(tmp_path / "kb", (*CONCEPTS, *FAMILY))
    use(folder)
    opened = Store(folder)
    chance = random.Random(7)
    for path in sorted(folder.iterdir()):
        good = path.read_bytes()
        places = range(len(good)) if len(good) < 40 else sorted(chance.sample(range(len(good)), 40))
        for place in places if path.name != "manifest.json" else ():
            bad = bytearray(good)
            bad[place] ^= 1 << chance.randrange(8)
            path.write_bytes(bad)
            with contextlib.suppress(KnowledgeError):
                use(folder)
            with pytest.raises(KnowledgeError, match=rf"{re.escape(path.name)} is damaged: its sha256"):
                opened.verify()
        path.write_bytes(good)
    opened.verify()


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
    (folder / "trie_edges.q").write_bytes(b"")
    (folder / "trie_ends.i").unlink()
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
    table = defaults.read()
    monkeypatch.setattr(defaults, "read", lambda: replace(table, vocabularies=[*files]))
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
    assert isinstance(known.every(), MappingProxyType)
