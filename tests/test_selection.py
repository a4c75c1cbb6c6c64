"""Laws of the selectors, each ranking against a naive one, and the leak guard."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selector_laws import check_selector

from dirag import formats
from dirag.data import Concept, Document, Entity, Hit
from dirag.encoders.hashing import HashEmbedder
from dirag.encoders.sentence import SentenceEncoder
from dirag.errors import UsageError
from dirag.examples import lexical_selector
from dirag.examples.pool import Pool
from dirag.examples.selection import (
    SELECTORS,
    CoverageSelector,
    LexicalSelector,
    MmrSelector,
    NearestSelector,
    RandomSelector,
    bm25,
    make,
    near_copy,
    tfidf,
)
from dirag.text.language import english

WORDS = ["asthma", "cancer", "of", "the", "breast", "BRCA1", "p53", "renal", "failure", "without", "mg"]
sentences = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)
anything = st.one_of(sentences, st.text(max_size=30))


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "home"))


def pool_of(texts: Sequence[str]) -> Pool:
    documents = [Document(str(i), text) for i, text in enumerate(texts)]
    return Pool.from_documents(documents, as_sentences=True).embedded(HashEmbedder(dimension=64), cache=False)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(SELECTORS)),
    st.lists(anything, max_size=25),
    st.lists(anything, max_size=4),
    st.integers(0, 9),
)
def test_selectors_keep_the_laws(name: str, pool: list[str], texts: list[str], k: int) -> None:
    made = pool_of(pool)
    selector = make(name, made, embedder=HashEmbedder(dimension=64), seed=3)
    check_selector(selector, made.examples, [*texts, *pool[:2]], k=k)


def naive_bm25(texts: Sequence[list[str]], query: list[str]) -> list[float]:
    mean = sum(map(len, texts)) / len(texts)
    scores = []
    for words in texts:
        score = 0.0
        for word in query:
            holding = sum(word in other for other in texts)
            tf = words.count(word)
            idf = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
            score += idf * tf * 2.5 / (tf + 1.5 * (0.25 + 0.75 * len(words) / mean))
        scores.append(score)
    return scores


@settings(deadline=None)
@given(
    st.lists(sentences, min_size=1, max_size=12, unique_by=lambda s: s.replace(" ", "").lower()), sentences
)
def test_bm25_is_naive_bm25(pool: list[str], query: str) -> None:
    selector = LexicalSelector([Document(str(i), text) for i, text in enumerate(pool)], weigh=bm25)
    expected = naive_bm25([text.lower().split() for text in pool], query.lower().split())
    np.testing.assert_allclose(selector.scores(query), expected, rtol=1e-9)
    [found] = selector.select([query], k=len(pool))
    ranks = [expected[int(example.id)] for example in found]
    assert all(one >= other - 1e-9 for one, other in pairwise(ranks))


def naive_tfidf(texts: Sequence[list[str]], query: list[str]) -> list[float]:
    """Cosines of vectors that have a place for each word of the texts, as scikit-learn weighs them."""
    words = sorted({word for text in texts for word in text})
    idf = [math.log((1 + len(texts)) / (1 + sum(w in text for text in texts))) + 1 for w in words]

    def vector(text: list[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        raw = np.array([text.count(word) * weight for word, weight in zip(words, idf, strict=True)])
        return raw / (np.linalg.norm(raw) or 1)

    return [float(vector(text) @ vector(query)) for text in texts]


@settings(deadline=None)
@given(
    st.lists(sentences, min_size=1, max_size=12, unique_by=lambda s: s.replace(" ", "").lower()), sentences
)
def test_tfidf_is_a_cosine_up_to_a_factor_of_the_text(pool: list[str], query: str) -> None:
    selector = LexicalSelector([Document(str(i), text) for i, text in enumerate(pool)], weigh=tfidf)
    expected = naive_tfidf([text.lower().split() for text in pool], query.lower().split())
    scores = selector.scores(query)
    np.testing.assert_allclose(scores * max(expected), np.array(expected) * max(scores), atol=1e-9)
    [found] = selector.select([query], k=3)
    ranks = [expected[int(example.id)] for example in found]
    assert all(one >= other - 1e-9 for one, other in pairwise(ranks))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), max_size=30), st.integers(0, 40))
def test_ranking_is_a_stable_sort_however_few_are_wanted(scores: list[float], k: int) -> None:
    ranked = list(lexical_selector._ranked(np.array(scores), k))
    assert ranked == sorted(range(len(scores)), key=lambda i: (-scores[i], i))


@settings(deadline=None)
@given(st.lists(sentences, min_size=1, max_size=60), sentences, st.integers(1, 8))
def test_knn_is_brute_force(pool: list[str], query: str, k: int) -> None:
    made, embedder = pool_of(pool), HashEmbedder(dimension=64)
    [found] = NearestSelector(made, embedder).search([query], k=k)
    cosine = {
        example.text: float(embedder.embed([example.text])[0] @ embedder.embed([query])[0])
        for example in made.examples
        if not near_copy(query, example.text)
    }
    distinct = {text.replace(" ", ""): score for text, score in cosine.items()}
    best = sorted(distinct.values(), reverse=True)[:k]
    np.testing.assert_allclose([score for _, score in found], best, atol=2e-5)
    np.testing.assert_allclose([cosine[example.text] for example, _ in found], best, atol=2e-5)


def test_knn_finds_k_behind_many_near_copies() -> None:
    text = "Mutations in the BRCA1 gene were found in 12 of the families with breast cancer"
    copies = [text.replace("12", str(number)) for number in range(20, 80)]
    pool = pool_of([*copies, "Asthma was treated .", "No fever .", "Renal failure followed ."])
    [found] = NearestSelector(pool, HashEmbedder(dimension=64)).select([text], k=3)
    assert sorted(example.id for example in found) == ["60", "61", "62"]


@settings(deadline=None, max_examples=60)
@given(st.lists(sentences, min_size=1, max_size=20), sentences, st.integers(1, 6))
def test_mmr_is_maximal_marginal_relevance(pool: list[str], query: str, k: int) -> None:
    nearest = NearestSelector(pool_of(pool), HashEmbedder(dimension=64))
    [found] = MmrSelector(nearest, relevance=0.6).select([query], k=k)
    [ranked] = nearest.search([query], k=len(pool))
    embed = HashEmbedder(dimension=64).embed
    left = {example.text: cosine for example, cosine in ranked}
    chosen: list[str] = []
    for example in found:

        def margin(text: str, chosen: Sequence[str] = tuple(chosen)) -> float:
            likest = max((float(embed([text])[0] @ embed([other])[0]) for other in chosen), default=0)
            return 0.6 * left[text] - 0.4 * likest

        assert margin(example.text) >= max(map(margin, left)) - 5e-5
        chosen.append(example.text)
        del left[example.text]
    assert len(found) == min(k, len(ranked))


def annotated(text: str, *mentions: str, kind: str = "disease") -> Document:
    found = tuple(Entity(text.index(m), text.index(m) + len(m), kind, m) for m in mentions)
    return Document(text, text, found)


COVERED = [
    annotated("We report two families of patients with colon cancer .", "colon cancer"),
    annotated("Gastric cancers are rare .", "Gastric cancers"),
    annotated("Myocardial infarctions followed .", "Myocardial infarctions"),
    annotated("The BRCA1 gene is large .", "BRCA1", kind="gene"),
    annotated("WAS is rare .", "WAS"),
    annotated("We report families ."),
    annotated("We report that families of patients were seen ."),
]


def covering(scan: bool = False, pool: Sequence[Document] = COVERED) -> CoverageSelector:
    """A selector over a pool; ``scan`` knows a heart attack as a myocardial infarction."""
    embedder = HashEmbedder(dimension=256)
    made = Pool.from_documents(pool, as_sentences=True).embedded(embedder, cache=False)
    concept = Concept("C1", "myocardial infarction", ("heart attack",))

    def hits(text: str) -> list[Hit]:
        at = text.find("heart attack")
        return [Hit(concept, "heart attack", "exact", 1.0, at, at + 12)] if at >= 0 else []

    return CoverageSelector(NearestSelector(made, embedder), english(), scan=hits if scan else None)


def test_coverage_shows_the_labels_and_the_known_names_of_a_text() -> None:
    text = "We report ten families of patients with colon cancer after a heart attack , that was BRCA1 ."
    [found] = covering(scan=True).select([text], k=4)
    shown = {tuple(entity.text for entity in example.entities) for example in found}
    # The last of these is the label that an example without entities has.
    assert shown == {("colon cancer",), ("Myocardial infarctions",), ("BRCA1",), ()}
    # A name of the pool has the synonyms of its concept too.
    [infarction] = covering(scan=True).known("heart attack")
    both = covering(scan=True, pool=[*COVERED, annotated("A heart attack .", "heart attack")])
    [attack] = both.known("heart attack")
    assert attack.examples == infarction.examples | {len(COVERED)}
    # Not WAS, which is a name in capitals only; nor the infarction, without a vocabulary.
    assert [text[name.start : name.end] for name in covering().known(text)] == ["colon cancer", "BRCA1"]


@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize("scan", [False, True])
def test_coverage_takes_the_largest_gain_each_time(k: int, scan: bool) -> None:
    text = "Patients with gastric cancer , myocardial infarction or heart attack : BRCA1 families"
    selector = covering(scan)
    known = selector.known(text)
    [vector] = HashEmbedder(dimension=256).embed([text])
    cosines = {
        x.id: float(v @ vector)
        for x, v in zip(COVERED, HashEmbedder(dimension=256).embed([x.text for x in COVERED]), strict=True)
    }

    def worth(examples: Sequence[Document]) -> float:
        labels = {label for x in examples for label in ({e.type for e in x.entities} or {""})}
        at = {i for i, x in enumerate(COVERED) if x in examples}
        names = sum(bool(name.examples & at) for name in known)
        return sum(cosines[x.id] for x in examples) + 0.5 * len(labels) / 3 + 0.5 * names / len(known)

    assert len(known) == 2 + 1 + scan
    [before], [found] = selector.select([text], k=k - 1), selector.select([text], k=k)
    assert [x for x in found if x in before] == before
    assert len(found) == len(before) + 1
    assert worth(found) >= max(worth([*before, x]) for x in COVERED if x not in before) - 5e-5
    assert all(cosines[one.id] >= cosines[other.id] - 2e-5 for one, other in pairwise(found))


def test_random_depends_on_text_and_seed_alone_and_covers_the_pool() -> None:
    examples = [Document(str(i), f"sentence {chr(97 + i % 26) * 12} {i}") for i in range(50)]
    texts = [f"text {i}" for i in range(400)]
    one, two = RandomSelector(examples, seed=1), RandomSelector(examples, seed=2)
    assert one.select(texts, k=5) != two.select(texts, k=5)
    drawn = [example.id for found in one.select(texts, k=5) for example in found]
    counts = [drawn.count(str(i)) for i in range(50)]
    assert min(counts) > 15  # 40 are expected of each
    assert max(counts) < 75
    [everything] = one.select(["text"], k=99)
    assert {example.id for example in everything} == {example.id for example in examples}


def test_of_equal_examples_the_first_is_taken() -> None:
    pool = pool_of(["Severe asthma .", "severe  asthma", "Severe asthma.", "Mild fever ."])
    for name in SELECTORS:
        [found] = make(name, pool, embedder=HashEmbedder(dimension=64)).select(["asthma"], k=9)
        assert {example.id for example in found} == {"0", "3"}


@pytest.mark.parametrize(
    "one, other, alike",
    [
        ("She has asthma .", "she has asthma", True),
        ("ataxia - telangiectasia", "Ataxia-telangiectasia.", True),
        ("TNFα rose in serum of patients with sepsis", "TNFα rose in sera of patients with sepsis", True),
        ("x " * 40, "y. " + "x " * 40 + "and more of another kind " * 9, True),
        ("asthma", "She has had asthma since childhood .", False),
        ("Familial Mediterranean fever in Armenians", "Familial adenomatous polyposis in Japan", False),
        ("", "asthma", False),
        ("!!!", "???", False),
    ],
)
def test_near_copies(one: str, other: str, alike: bool) -> None:
    assert near_copy(one, other) is alike
    assert near_copy(other, one) is alike


@settings(deadline=None)
@given(anything, anything)
def test_near_copy_is_symmetric_and_holds_of_a_text_and_itself(one: str, other: str) -> None:
    assert near_copy(one, one)
    assert near_copy(one, other) == near_copy(other, one)


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(UsageError, match="selector 'nearest'"):
        make("nearest", pool_of([]))
    for name in ("knn", "mmr", "coverage"):
        with pytest.raises(UsageError, match=f"{name} needs a sentence encoder"):
            make(name, pool_of([]))
    for name in SELECTORS:
        with pytest.raises(UsageError, match="-1"):
            make(name, pool_of(["a"]), embedder=HashEmbedder(dimension=64)).select(["b"], k=-1)


def read(folder: Path, split: str) -> list[Document]:
    return list(formats.read([str(folder / "corpora" / "ncbi-disease-bio" / f"{split}.tsv")]))


def test_selection_on_ncbi_disease_leaks_nothing(shared_data: Path) -> None:
    pool = Pool.from_documents(read(shared_data, "train"), as_sentences=True)
    texts = [document.text for document in read(shared_data, "test")]
    for name in SELECTORS:
        chosen = make(name, pool, embedder=HashEmbedder()).select(texts, k=8)
        assert all(len(found) == 8 for found in chosen)
        for text, found in zip(texts[::10], chosen[::10], strict=True):
            assert not any(near_copy(text, example.text) for example in found)
    own = LexicalSelector(pool.examples, weigh=bm25).select(
        [example.text for example in pool.examples[:50]], k=1
    )
    assert all(found[0].text != example.text for found, example in zip(own, pool.examples, strict=False))


@pytest.mark.weights
def test_the_nearest_neighbours_share_more_mentions(
    shared_data: Path, weights: Callable[[str], Path], tmp_path: Path
) -> None:
    """Why knn is worth its encoder: a sentence's own mentions stand in its examples far more often."""
    embedder = SentenceEncoder(weights("all-minilm-l6-v2"))
    pool = Pool.from_documents(read(shared_data, "train")[:300], as_sentences=True)
    queries = [document for document in read(shared_data, "devel")[:60] if document.entities]

    def shared(name: str) -> int:
        chosen = make(name, pool, embedder=embedder).select([query.text for query in queries], k=8)
        return sum(
            entity.text.lower() in {e.text.lower() for example in found for e in example.entities}
            for query, found in zip(queries, chosen, strict=True)
            for entity in query.entities
        )

    assert shared("knn") > 1.5 * shared("random")
