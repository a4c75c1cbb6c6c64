"""Names by meaning: searches against brute force, encoding that goes on, refusals, and bases with vectors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dirag.data import Concept
from dirag.encoders.hashing import HashEmbedder
from dirag.errors import KnowledgeError
from dirag.knowledge import base
from dirag.knowledge.index import dense, encoding, hierarchy
from dirag.knowledge.store import store, writer
from dirag.protocols import Embedder

NAMES = [
    f"{organ} {kind} {number}"
    for organ in ("lung", "skin", "eye")
    for kind in ("cancer", "pain")
    for number in range(70)
]


def unit(count: int, dimension: int = 32, seed: int = 0) -> NDArray[np.float32]:
    """Vectors in clusters, as those of names are."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(20, dimension))
    vectors = centres[random.integers(0, 20, count)] + 0.4 * random.normal(size=(count, dimension))
    found: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return found


def made(folder: Path, vectors: NDArray[np.float32], *, budget: int = dense.BUDGET) -> dense.Dense:
    order = np.random.default_rng(3).permutation(len(vectors))
    embedder = HashEmbedder(dimension=vectors.shape[1])
    kept = vectors.astype(np.float16)[order]
    info = dense.build(kept, order, folder, embedder=embedder, opened_as="hash", budget=budget)
    return dense.open_index(folder, info, embedder)


def test_flat_search_is_brute_force(tmp_path: Path) -> None:
    vectors, queries = unit(500), unit(20, seed=1)
    index = made(tmp_path, vectors)
    keys, cosines = index.search(queries, limit=7)
    every = queries @ vectors.astype(np.float16).astype(np.float32).T
    assert index.info.kind == "flat"
    np.testing.assert_allclose(cosines, -np.sort(-every, axis=1)[:, :7], atol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(every, keys, axis=1), cosines, atol=1e-4)
    np.testing.assert_allclose(
        index.cosines(np.array([3, -1, 9]), queries[0]), [every[0, 3], -1, every[0, 9]], atol=1e-4
    )
    assert index.cosines(np.array([], np.int64), queries[0]).shape == (0,)


@pytest.mark.parametrize(("kind", "budget"), [("hnsw", dense.BUDGET), ("ivfpq", 1000)])
def test_other_kinds_find_nearly_all_and_say_how_much(
    kind: str, budget: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "_FLAT", 100)
    vectors, queries = unit(2000), unit(50, seed=1)
    index = made(tmp_path, vectors, budget=budget)
    assert index.info.kind == kind
    assert index.info.recall >= 0.95
    assert index.info.sample == 256
    keys, cosines = index.search(queries, limit=5)
    every = queries @ vectors.T
    assert (cosines >= -np.sort(-every, axis=1)[:, 4:5] - 1e-3).mean() >= 0.9
    np.testing.assert_allclose(np.take_along_axis(every, keys, axis=1), cosines, atol=2e-3)


@pytest.mark.parametrize(("flat", "budget"), [(10**6, dense.BUDGET), (100, dense.BUDGET), (100, 1000)])
def test_only_allowed_keys_are_found(
    flat: int, budget: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "_FLAT", flat)
    index = made(tmp_path, unit(1000), budget=budget)
    allowed = np.arange(1000) % 100 == 7
    keys, cosines = index.search(unit(9, seed=1), limit=20, allowed=allowed)
    assert (np.sort(keys, axis=1) == np.flatnonzero(allowed)).all()
    assert (np.diff(cosines, axis=1) <= 0).all()
    keys, _ = index.search(unit(9, seed=1), limit=20, allowed=np.arange(1000) % 3 > 0)
    assert (keys[keys >= 0] % 3 > 0).all()
    assert (keys >= 0).any(axis=1).all()
    none, _ = index.search(unit(9, seed=1), limit=20, allowed=np.zeros(1000, bool))
    assert none.shape == (9, 0)


def test_the_kind_follows_size_and_budget() -> None:
    assert dense.choose(1000, 384, dense.BUDGET) == "flat"
    assert dense.choose(1_000_000, 384, 1 << 31) == "hnsw"
    assert dense.choose(10_000_000, 384, dense.BUDGET) == "ivfpq"
    assert dense.choose(1000, 384, 1000) == "ivfpq"


class Killed(Exception):
    pass


class Counting:
    """An encoder that counts what it encodes and dies at a given call."""

    name, dimension = "count@1", 8

    def __init__(self, dies_at: int | None = None) -> None:
        self.texts: list[str] = []
        self.calls, self.dies_at = 0, dies_at

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls += 1
        if self.calls == self.dies_at:
            raise Killed
        self.texts += texts
        return HashEmbedder(dimension=8).embed(texts)


def test_encoding_goes_on_where_it_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_BATCH", 50)
    target = tmp_path / "kb"
    with pytest.raises(Killed):
        encoding.encode(NAMES, Counting(dies_at=4), target)
    (part,) = (path for path in tmp_path.glob(".kb.vectors-*") if path.suffix != ".lock")
    assert part == encoding.checkpoint(NAMES, Counting(), target)
    with part.open("ab") as stream:
        stream.write(b"half")
    again = Counting()
    vectors, order = encoding.encode(NAMES, again, target)
    assert len(again.texts) == len(NAMES) - 150
    expected = HashEmbedder(dimension=8).embed([NAMES[i] for i in order]).astype(np.float16)
    np.testing.assert_array_equal(vectors, expected)
    assert sorted(order.tolist()) == list(range(len(NAMES)))
    assert encoding.checkpoint(NAMES[1:], Counting(), target) != part
    encoding.discard(target)
    assert not list(tmp_path.iterdir())


def test_one_build_at_a_time_encodes_the_same_names(tmp_path: Path) -> None:
    class Second(Counting):
        """While it encodes, another build of the same base begins."""

        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            with pytest.raises(KnowledgeError, match="another build is encoding the same names"):
                encoding.encode(NAMES, Counting(), tmp_path / "kb")
            encoding.encode(NAMES[1:], Counting(), tmp_path / "kb")
            return super().embed(texts)

    encoding.encode(NAMES, Second(), tmp_path / "kb")


def test_progress_tells_the_share_and_the_time_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoding.encode(NAMES, Counting(), tmp_path / "kb", progress=True)
    assert "100% of 420 names, 0 s left" in capsys.readouterr().err
    encoding.encode(NAMES, Counting(), tmp_path / "kb2", progress=False)
    assert not capsys.readouterr().err


CONCEPTS = [
    Concept("X:1", "Cancer", (), ("neoplasm",), source="one"),
    Concept("X:2", "Lung cancer", (), ("neoplasm",), source="one", parents=("X:1", "X:3")),
    Concept("X:3", "Small cell lung cancer", (), ("neoplasm",), source="one", parents=("X:2",)),
    Concept("Y:1", "Lung inflammation", ("Pneumonia",), ("disease",), source="two"),
]
TABLE = "".join(f"{c.id}\t{c.name}\t{'|'.join(c.synonyms)}\t{'|'.join(c.semantic_types)}\n" for c in CONCEPTS)


@pytest.fixture
def kb(tmp_path: Path) -> base.KnowledgeBase:
    table = tmp_path / "table.tsv"
    table.write_text(f"id\tname\tsynonyms\ttypes\n{TABLE}", encoding="utf-8")
    base.build([base.VocabularySource(table, "table")], tmp_path / "kb", base.BuildOptions(encoder="hash"))
    return base.KnowledgeBase(tmp_path / "kb")


def test_a_base_with_an_encoder_finds_by_meaning(kb: base.KnowledgeBase, tmp_path: Path) -> None:
    assert kb.dense_info is not None
    assert (kb.manifest.encoder, kb.dense_info.kind, kb.dense_info.names) == (
        HashEmbedder().name,
        "flat",
        kb.manifest.keys,
    )
    index = kb.index_for(matches=["dense"])
    (hits,) = index.lookup(["inflamed lungs"], k=2)
    assert (hits[0].concept.id, hits[0].match) == ("Y:1", "dense")
    assert not list(tmp_path.glob(".kb.*"))
    assert kb.index_for(["disease"], matches=["dense"], sources=["none"]).lookup(["lung"]) == [[]]
    kb.close()


def test_a_filter_restricts_every_search(tmp_path: Path) -> None:
    writer.write(CONCEPTS, tmp_path / "kb")
    opened = base.KnowledgeBase(tmp_path / "kb")

    def found(query: str, *, sources: list[str] | None = None, under: tuple[str, ...] = ()) -> set[str]:
        index = opened.index_for(sources=sources, under=under)
        return {hit.concept.id for hit in index.lookup([query], k=9)[0]}

    assert found("lung cancer") >= {"X:2", "X:3"}
    assert found("lung", sources=["two"]) <= {"Y:1"}
    assert found("pneumonia", sources=["two"]) == {"Y:1"}
    assert found("cancer", under=("X:2",)) <= {"X:2", "X:3"}
    assert "X:1" not in found("cancer", under=("X:2",), sources=["one", "two"])
    opened.close()


def test_descendants_end_in_cycles_and_unknown_ids_are_refused(tmp_path: Path) -> None:
    looped = [*CONCEPTS[1:], Concept("X:1", "Cancer", parents=("X:3",))]
    writer.write(looped, tmp_path / "kb")
    opened = store.Store(tmp_path / "kb")
    ids = {opened.concept(number).id for number in hierarchy.descendants(opened, ["X:2"])}
    assert ids == {"X:1", "X:2", "X:3"}
    with pytest.raises(KnowledgeError, match="no concept 'X:9'"):
        hierarchy.descendants(opened, ["X:9"])


def test_another_encoder_is_refused_with_the_reason(kb: base.KnowledgeBase, tmp_path: Path) -> None:
    info = dense.read_info(kb.manifest.extra)
    assert info is not None
    others: list[Embedder] = [HashEmbedder(dimension=8), Counting()]
    for other in others:
        with pytest.raises(KnowledgeError, match=r"built with the encoder hash@ngrams-1024 .*, not"):
            dense.open_index(tmp_path / "kb", info, other)
    assert dense.read_info({}) is None


def test_a_damaged_index_is_refused(kb: base.KnowledgeBase, tmp_path: Path) -> None:
    info = dense.read_info(kb.manifest.extra)
    assert info is not None
    path = tmp_path / "kb" / dense.INDEX
    data = path.read_bytes()
    for damaged in (data[: len(data) // 2], b"", b"none"):
        path.unlink()
        path.write_bytes(damaged)
        with pytest.raises(KnowledgeError, match="cannot read the dense index"):
            dense.open_index(tmp_path / "kb", info, HashEmbedder())


def test_a_base_without_vectors_loads_no_encoder(tmp_path: Path) -> None:
    writer.write(CONCEPTS, tmp_path / "kb")
    code = (
        "import sys; from pathlib import Path; from dirag.knowledge.base import KnowledgeBase;"
        f"kb = KnowledgeBase(Path({str(tmp_path / 'kb')!r})); "
        "print(kb.index.lookup(['lung cancr'])[0][0].concept.id);"
        "assert not {'faiss', 'torch', 'sentence_transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "X:2\n"
