"""Look-up and scan: the laws of ``Index`` on any vocabulary and text, a brute-force oracle, and typos."""

from __future__ import annotations

import itertools
import runpy
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_laws import check_index

from dirag.data import Concept
from dirag.knowledge.base import KnowledgeBase, VocabularySource, build
from dirag.knowledge.index.lookup import LINKED, Lookup
from dirag.knowledge.store import writer
from dirag.text.language import english
from dirag.text.normalise import is_acronym, normaliser

key = normaliser(english()).key


@contextmanager
def knowledge(concepts: Iterable[Concept]) -> Iterator[KnowledgeBase]:
    with tempfile.TemporaryDirectory() as folder:
        writer.write(concepts, Path(folder) / "kb")
        kb = KnowledgeBase(Path(folder) / "kb")
        yield kb
        kb.close()


def named(*names: str, types: Sequence[str] = ("disease",)) -> list[Concept]:
    return [Concept(f"X:{number}", name, (), tuple(types)) for number, name in enumerate(names)]


LETTERS = st.sampled_from("aZs2 İıßﬁé\u0301\r\n\t-_'(.,;)α😀\u00ad½\x00")
TRICKY = st.text(LETTERS, max_size=30) | st.text(max_size=30)
NAMES = TRICKY.filter(lambda name: bool(name.strip()))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(NAMES, st.lists(NAMES, max_size=2)), min_size=1, max_size=6),
    st.lists(TRICKY, max_size=4),
)
def test_the_laws(vocabulary: list[tuple[str, list[str]]], texts: list[str]) -> None:
    concepts = [
        Concept(f"X:{number}", name, tuple(synonyms)) for number, (name, synonyms) in enumerate(vocabulary)
    ]
    joined = "\r\n".join(name for name, _ in vocabulary)
    with knowledge(concepts) as kb:
        check_index(kb.index, concepts, [*texts, joined, joined.upper(), "\udcff lone"])


PIECES = ["aa", "bb", "c", "2", "22", "AA", "Bb"]
MARKS = [" ", "-", ".", "; ", "(", ")", "\n", "\r\n", "aa. A"]


@st.composite
def pieced(draw: st.DrawFn, size: int) -> str:
    parts = draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=size))
    gaps = [draw(st.sampled_from(["", " ", *MARKS])) for _ in parts]
    return "".join(itertools.chain.from_iterable(zip(parts, gaps, strict=True))).strip()


def brute_force(names: Sequence[str], text: str) -> list[tuple[int, int]]:
    """Every span that equals a name, tried one by one; then the longest first, leftmost first."""
    spans = []
    for start, end in itertools.combinations(range(len(text) + 1), 2):
        surface = text[start:end]
        inside = text[start - 1 : start].isalnum() if start else False
        if inside or text[end : end + 1].isalnum() or not (surface[0].isalnum() and surface[-1].isalnum()):
            continue
        same = [name for name in names if key(name) == key(surface)]
        if len(surface) < 2 or not any(name == surface or not is_acronym(name) for name in same):
            continue
        opened = surface.count("(") - surface.count(")")
        early = any(surface[:cut].count(")") > surface[:cut].count("(") for cut in range(len(surface) + 1))
        if opened or early or "; " in surface or "aa. A" in surface:
            continue
        spans.append((start, end))
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: (span[0] - span[1], span)):
        if all(end <= other or start >= last for other, last in kept):
            kept.append((start, end))
    return sorted(kept)


@settings(deadline=None, max_examples=100)
@given(st.lists(pieced(4), min_size=1, max_size=8, unique=True), pieced(12))
def test_scan_finds_what_brute_force_finds(names: list[str], text: str) -> None:
    with knowledge(named(*names)) as kb:
        index = Lookup(kb._store, stopwords=())
        every = [alias for row in range(kb.manifest.names) if (alias := kb._store.alias(row))]
        assert [(hit.start, hit.end) for hit in index.scan(text)] == brute_force(every, text)


def spans(kb: KnowledgeBase, text: str) -> list[str]:
    return [text[hit.start : hit.end] for hit in kb.index.scan(text)]


def test_scan_takes_the_longest_and_reads_offsets_in_the_text_as_given() -> None:
    with knowledge(named("Breast cancer", "Ovarian cancer", "Cancer", "Hereditary breast cancer")) as kb:
        text = "\ufeffİ  HEREDITARY\r\nbreast-Cancers, cancer\u0301 of ovarian\u00a0cancer"
        assert spans(kb, text) == ["HEREDITARY\r\nbreast-Cancers", "cancer\u0301", "ovarian\u00a0cancer"]


def test_scan_does_not_look_inside_words_over_sentences_or_into_open_brackets() -> None:
    with knowledge(named("flu", "HER", "Tumor necrosis", "Deficiency, G6PD")) as kb:
        assert (
            spans(kb, "influenza; HER2; her; a tumor. Necrosis; tumor\n\nnecrosis; (G6PD) deficiency") == []
        )
        assert spans(kb, "Flu, HER, tumor necrosis") == ["Flu", "HER", "tumor necrosis"]


def test_short_names_match_in_their_own_case_unless_they_are_words() -> None:
    with knowledge(named("WAS", "Gout", "ALL")) as kb:
        assert spans(kb, "It was all gout: ALL, WAS, GOUT.") == ["gout", "ALL", "WAS", "GOUT"]


def test_stop_words_are_not_found_in_text_but_can_be_looked_up() -> None:
    with knowledge(named("Disease", "Lyme disease")) as kb:
        assert spans(kb, "The disease is Lyme disease.") == ["Lyme disease"]
        assert kb.index.lookup(["disease"], k=1)[0][0].match == "exact"


def test_preferred_names_come_before_synonyms_and_variants() -> None:
    concepts = [
        Concept("X:1", "Cholera, unspecified"),
        Concept("X:2", "Vibrio infection", ("Cholera",)),
        Concept("X:3", "Cholera"),
    ]
    with knowledge(concepts) as kb:
        (hits,) = kb.index.lookup(["cholera"], k=5)
        assert [hit.concept.id for hit in hits] == ["X:3", "X:2", "X:1"]
        assert {hit.match for hit in hits} == {"exact"}
        assert sum(hit.score for hit in hits) < 1


@pytest.mark.parametrize(
    "mention", ["hypertention", "hyperstension", "Hypertensin", "arterial hypertension", "hypertension NOS"]
)
def test_misspellings_find_the_nearest_name(mention: str) -> None:
    names = ("Hypotension", "Hypertension", "Hyperthermia", "Tension headache", "Asthma")
    with knowledge(named(*names)) as kb:
        (hits,) = kb.index.lookup([mention], k=3)
        assert hits[0].concept.name == "Hypertension"
        assert hits[0].alias == "Hypertension"
        assert mention.endswith("NOS") == (hits[0].match == "exact")


def test_the_threshold_cuts_fuzzy_hits() -> None:
    with knowledge(named("Hypertension", "Asthma")) as kb:
        scores = [hit.score for hit in kb.index_for(["disease"]).lookup(["hypertention"])[0]]
        assert scores[0] < 1
        strict = kb.index_for(["disease"], threshold=scores[0] + 0.001)
        assert strict.lookup(["hypertention"]) == [[]]
        assert kb.index.lookup(["zzzz", "", "日本"]) == [[], [], []]


def test_links_are_rather_right_than_wrong_and_an_index_finds_all() -> None:
    with knowledge(named("Portal hypertension", "Renal hypertension", "Asthma")) as kb:
        linker, index = kb.linkers_for(["disease"])["disease"], kb.index_for(["disease"])
        assert linker.lookup(["asthma"]) == index.lookup(["asthma"])
        (hits,) = index.lookup(["hypertension"])
        assert len(hits) == 2
        assert max(hit.score for hit in hits) < LINKED
        assert linker.lookup(["hypertension"]) == [[]]


@settings(deadline=None, max_examples=40)
@given(
    st.permutations(["one", "two", "own"]),
    st.lists(st.sampled_from(["Gout", "Gouty", "Asthma"]), min_size=3, max_size=3),
)
def test_of_one_name_the_preferred_vocabulary_comes_first(order: list[str], names: list[str]) -> None:
    concepts = [
        Concept(f"X:{source}", name, (), ("disease",), source=source)
        for source, name in zip(order, names, strict=True)
    ]
    with knowledge(concepts) as kb:
        hits = kb.index_for(preferred=("two", "one")).lookup(["gout"])[0]
        sure = [hit.concept.source for hit in hits if hit.match == "exact" and hit.score >= LINKED]
        assert sure == [hit.concept.source for hit in hits][: len(sure)]
        assert sure == sorted(sure, key=["own", "two", "one"].index)
        assert {hit.concept for hit in hits} == {hit.concept for hit in kb.index.lookup(["gout"])[0]}
        rest = [hit.score for hit in hits[len(sure) :]]
        assert rest == sorted(rest, reverse=True)


def test_an_index_for_types_sees_only_their_concepts() -> None:
    concepts = [
        Concept("X:1", "Family history of gout", (), ("health status factor",)),
        Concept("X:2", "Gout", (), ("musculoskeletal disease",)),
        Concept("X:3", "gout", (), ("chemical",)),
    ]
    with knowledge(concepts) as kb:
        text = "Family history of gout"
        assert [hit.concept.id for hit in kb.index.scan(text)] == ["X:1"]
        assert [hit.concept.id for hit in kb.index_for(["disease"]).scan(text)] == ["X:2"]
        assert [hit.concept.id for hit in kb.index_for(["chemical"]).lookup(["Gout"])[0]] == ["X:3"]


def test_recall_on_real_mentions_is_not_below_what_was_measured(shared_data: Path) -> None:
    script = runpy.run_path(str(Path(__file__).parent / "benchmarks" / "linking.py"))
    with tempfile.TemporaryDirectory() as folder:
        build([VocabularySource(script["medic"](shared_data), "medic")], Path(folder) / "kb")
        kb = KnowledgeBase(Path(folder) / "kb")
        found = dict(script["evaluate"](kb, shared_data, "develop"))
        kb.close()
    assert found["string, spelling: recall@1"] >= 0.73
    assert found["string, spelling: recall@5"] >= 0.88
    assert found["document, spelling: recall@1"] >= 0.81
    assert found["document, spelling: recall@5"] >= 0.93
    assert found["document, spelling: calibration error"] <= 0.08
