"""Pools: what is built is opened again, sentences keep their entities, and what does not fit is refused."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dirag import formats
from dirag.data import Document, Entity, Issue
from dirag.encoders.hashing import HashEmbedder
from dirag.errors import ExamplesError
from dirag.examples import pool
from dirag.examples.pool import EXAMPLES, MANIFEST, VECTORS, Pool, restrict

ABSTRACT = "Familial asthma was seen. Mutations in ADAM33 cause asthma in 3 of 10 families.\nNo fever."


def entity(text: str, mention: str, type_: str, start: int = 0) -> Entity:
    at = text.index(mention, start)
    return Entity(at, at + len(mention), type_, mention)


def abstract() -> Document:
    labels = [("Familial asthma", "disease"), ("ADAM33", "gene"), ("fever", "symptom")]
    entities = [entity(ABSTRACT, mention, type_) for mention, type_ in labels]
    entities.insert(2, entity(ABSTRACT, "asthma", "disease", ABSTRACT.index("cause")))
    return Document("7", ABSTRACT, tuple(entities))


class Counting(HashEmbedder):
    """Counts the texts that it was asked for."""

    asked = 0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += len(texts)
        return super().embed(texts)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_documents_become_sentences_with_their_entities() -> None:
    made = Pool.from_documents([abstract()])
    assert [example.text for example in made.examples] == [
        "Familial asthma was seen.",
        "Mutations in ADAM33 cause asthma in 3 of 10 families.",
        "No fever.",
    ]
    mentions = [[(e.text, e.type) for e in example.entities] for example in made.examples]
    assert mentions[1] == [("ADAM33", "gene"), ("asthma", "disease")]
    assert made.manifest.types == {"disease": 2, "gene": 1, "symptom": 1}
    assert made.manifest.left_out == {}
    assert len({example.id for example in made.examples}) == 3


def test_a_sentence_that_cuts_a_mention_is_left_out_and_counted() -> None:
    start = ABSTRACT.index("asthma was")
    cut = Entity(start, start + 20, "disease", ABSTRACT[start : start + 20])
    made = Pool.from_documents([Document("7", ABSTRACT, (cut,))])
    assert [example.text for example in made.examples] == ["No fever."]
    assert made.manifest.left_out == {"sentences that cut a mention": 2}


def test_whole_documents_and_documents_without_text() -> None:
    blank = Document("8", " ", issues=(Issue("empty", "f:1"),))
    labelled = Document("9", "No fever.", issues=(Issue("unusable-label", "f:2"),))
    made = Pool.from_documents([abstract(), blank, labelled], as_sentences=True)
    assert [example.text for example in made.examples] == [ABSTRACT, "No fever."]
    assert made.manifest.left_out == {"documents empty": 1, "labels: unusable-label": 1}


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(texts, st.integers(0, 29), st.integers(1, 30)), min_size=1, max_size=6))
def test_what_is_built_is_opened_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, int]]
) -> None:
    documents = []
    for number, (text, start, length) in enumerate(rows):
        begin = start % len(text)
        end = min(begin + length, len(text))
        documents.append(Document(str(number), text, (Entity(begin, end, "disease", text[begin:end]),)))
    path = tmp_path_factory.mktemp("pools") / "pool"
    embedder = HashEmbedder(dimension=16)
    built = pool.build(documents, path, embedder=embedder, sources=["s"], licence="CC0", as_sentences=True)
    opened = pool.open(path)
    assert opened.examples == built.examples == tuple(documents)
    assert opened.manifest == built.manifest
    assert (opened.manifest.sources, opened.manifest.licence) == (("s",), "CC0")
    assert opened.vectors is not None
    np.testing.assert_array_equal(opened.vectors, embedder.embed([text for text, *_ in rows]))
    assert opened.embedded(embedder) is opened


def test_files_are_for_their_owner(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "pool"
    pool.build([abstract()], path, embedder=HashEmbedder())
    assert sorted(file.name for file in path.iterdir()) == [EXAMPLES, MANIFEST, VECTORS]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in path.iterdir())
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_pool_without_vectors(tmp_path: Path, home: Path) -> None:
    built = pool.build([abstract()], tmp_path / "pool", embedder=None)
    assert built.vectors is None
    assert built.manifest.encoder is None
    embedded = built.embedded(HashEmbedder())
    assert embedded.vectors is not None
    assert embedded.vectors.shape == (3, 1024)


def test_a_pool_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / "pool"
    pool.build([abstract()], path, embedder=HashEmbedder())
    assert pool.build([Document("1", "No fever.")], path, embedder=None).manifest.examples == 1
    assert not (path / VECTORS).exists()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "one.txt").write_text("mine")
    with pytest.raises(ExamplesError, match="not an example pool"):
        pool.build([abstract()], tmp_path / "notes", embedder=None)
    assert (tmp_path / "notes" / "one.txt").read_text() == "mine"


def test_a_failed_build_leaves_what_was_there(tmp_path: Path) -> None:
    class Failing(HashEmbedder):
        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            raise KeyboardInterrupt

    path = tmp_path / "pool"
    before = pool.build([abstract()], path, embedder=HashEmbedder())
    with pytest.raises(KeyboardInterrupt):
        pool.build([Document("1", "No fever.")], path, embedder=Failing())
    with pytest.raises(ExamplesError, match="no example"):
        pool.build([], path, embedder=None)
    assert pool.open(path).examples == before.examples
    assert list(tmp_path.iterdir()) == [path]


def change_manifest(path: Path, **values: object) -> None:
    record = orjson.loads((path / MANIFEST).read_bytes())
    (path / MANIFEST).write_bytes(orjson.dumps({**record, **values}))


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pool"

    def refused(match: str) -> None:
        with pytest.raises(ExamplesError, match=match) as error:
            pool.open(path)
        assert "asthma" not in str(error.value)
        pool.build([abstract()], path, embedder=HashEmbedder(dimension=8))

    refused("no manifest")
    data = (path / EXAMPLES).read_bytes()
    (path / EXAMPLES).write_bytes(data.replace(b"Familial", b"familial"))
    refused("sha256")
    (path / EXAMPLES).unlink()
    refused("no readable examples.jsonl")
    change_manifest(path, examples=4)
    refused("3 examples, 4 in the manifest")
    change_manifest(path, schema=99)
    refused("schema 99")
    change_manifest(path, added=1)
    refused("keys")
    (path / MANIFEST).write_bytes(b"{")
    refused("not JSON")
    np.save(path / VECTORS, np.zeros((3, 9), np.float32))
    refused("3 x 8")
    np.save(path / VECTORS, np.zeros((3, 8)))
    refused("float32")
    np.save(path / VECTORS, np.array([{}] * 3, object), allow_pickle=True)
    refused("vectors.npy")
    (path / VECTORS).write_bytes((path / VECTORS).read_bytes()[:-1])
    refused("vectors.npy")
    (path / VECTORS).unlink()
    refused("vectors.npy")
    assert pool.open(path).manifest.examples == 3


def test_vectors_of_another_encoder_are_refused(tmp_path: Path) -> None:
    built = pool.build([abstract()], tmp_path / "pool", embedder=HashEmbedder(dimension=8))
    with pytest.raises(ExamplesError, match=r"hash@ngrams-8 .* not hash@ngrams-16") as error:
        built.embedded(HashEmbedder(dimension=16))
    assert "--encoder" in error.value.hint


def test_vectors_are_cached_by_texts_and_encoder(home: Path) -> None:
    embedder = Counting()
    made = Pool.from_documents([abstract()])
    first, second = made.embedded(embedder), made.embedded(embedder)
    assert embedder.asked == 3
    assert first.vectors is not None
    assert second.vectors is not None
    np.testing.assert_array_equal(first.vectors, second.vectors)
    [kept] = (home / "vectors").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    Pool.from_documents([abstract()], as_sentences=True).embedded(embedder)
    assert embedder.asked == 4
    made.restricted(["gene"]).embedded(embedder)
    assert embedder.asked == 4
    kept.write_bytes(kept.read_bytes()[:60])
    np.testing.assert_array_equal(made.embedded(embedder).vectors, first.vectors)
    assert embedder.asked == 7


def test_types_are_restricted() -> None:
    made = Pool.from_documents([abstract()]).restricted(["gene", "procedure"])
    assert [[e.type for e in example.entities] for example in made.examples] == [[], ["gene"], []]
    assert restrict(abstract(), ["symptom"]).entities == abstract().entities[3:]
    with pytest.raises(ExamplesError, match="procedure") as error:
        made.restricted(["procedure"])
    assert "disease" in error.value.hint


def test_ncbi_disease_abstracts_as_a_pool(shared_data: Path) -> None:
    file = shared_data / "corpora" / "ncbi-disease" / "NCBIdevelopset_corpus.txt"
    documents = list(formats.read([str(file)], format="pubtator"))
    made = Pool.from_documents(documents)
    gold = sum(len(document.entities) for document in documents)
    assert made.manifest.examples > 8 * len(documents)
    # No sentence of this corpus is cut through a mention, so none of either is lost.
    assert made.manifest.left_out == {}
    assert sum(made.manifest.types.values()) == gold
