"""The dictionary tagger: lazily one tagging a segment, wanted types only, exact offsets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dirag import pipeline
from dirag.data import Concept, Document, Hit, Segment
from dirag.knowledge import base
from dirag.knowledge.index.lookup import Lookup
from dirag.knowledge.semantics import TypeMap
from dirag.knowledge.store import writer
from dirag.knowledge.store.store import Store
from dirag.protocols import Index
from dirag.taggers.dictionary import DictionaryTagger
from dirag.text.language import DictionaryRules, Language, english

WITHOUT_RULES = replace(english(), dictionary=DictionaryRules())
MAP = TypeMap({}, {}, {"phenotype": ("symptom", "disease"), "history": ()})
CONCEPTS = {
    "ague": Concept("X:1", "Ague", (), ("phenotype",)),
    "iron": Concept("X:2", "Iron", (), ("Chemical",)),
    "past": Concept("X:3", "Past", (), ("history",)),
    "both": Concept("X:4", "Both", (), ("history", "phenotype", "chemical")),
}


class Words:
    """An index that knows four whole words, parted by blanks."""

    def lookup(self, queries: Sequence[str], *, k: int = 5, text: str | None = None) -> list[list[Hit]]:
        return [[] for _ in queries]

    def scan(self, text: str) -> list[Hit]:
        hits, at = [], 0
        for word in text.split(" "):
            if word in CONCEPTS:
                hits.append(Hit(CONCEPTS[word], word, "exact", 1.0, at, at + len(word)))
            at += len(word) + 1
        return hits


def tags(text: str, *types: str) -> list[tuple[str, str]]:
    (tagging,) = DictionaryTagger(Words(), types, english(), type_map=MAP).tag([Segment(5, text)])
    Document("d", text, tagging.entities)  # checks every offset
    assert all(entity.link is not None and entity.score == 1.0 for entity in tagging.entities)
    return [(entity.text, entity.type) for entity in tagging.entities]


def test_a_concept_gets_its_first_wanted_type() -> None:
    text = "past ague and iron both"
    assert tags(text, "symptom", "chemical") == [
        ("ague", "symptom"),
        ("iron", "chemical"),
        ("both", "symptom"),
    ]
    assert tags(text, "chemical", "disease") == [
        ("ague", "disease"),
        ("iron", "chemical"),
        ("both", "disease"),
    ]
    assert tags(text, "gene") == []
    assert tags("", "disease") == []


def test_tagging_is_lazy_and_in_order() -> None:
    taken = []

    def segments() -> Iterator[Segment]:
        for text in ("ague", "none", "iron"):
            taken.append(text)
            yield Segment(0, text)

    tagger = DictionaryTagger(Words(), ["disease", "chemical"], english(), type_map=MAP)
    taggings = tagger.tag(segments())
    assert taken == []
    assert [entity.text for entity in next(taggings).entities] == ["ague"]
    assert taken == ["ague"]
    assert [len(tagging.entities) for tagging in taggings] == [0, 1]
    tagger.close()
    tagger.close()


@given(st.lists(st.sampled_from([*CONCEPTS, "İ", "x\r\n", "\u0301"])).map(" ".join))
def test_entities_are_what_stands_in_the_text(text: str) -> None:
    expected = [word for word in text.split(" ") if word in ("ague", "iron", "both")]
    assert [found for found, _ in tags(text, "disease", "chemical")] == expected


DISEASES = (
    "Breast Cancer",
    "Ovarian Neoplasms|ovarian cancer",
    "Prostate Cancer",
    "Ataxia Telangiectasia",
    "Retinoblastoma|RB1",
    "Anemia",
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Lookup:
    folder = tmp_path_factory.mktemp("kb") / "diseases"
    names = [line.split("|") for line in DISEASES]
    concepts = [
        Concept(f"D:{n}", first, tuple(others), ("disease",)) for n, (first, *others) in enumerate(names)
    ]
    writer.write(concepts, folder)
    return Lookup(Store(folder))


def tagged(index: Index, *segments: Segment, language: Language | None = None) -> list[list[str]]:
    tagger = DictionaryTagger(index, ["disease"], language or english())
    return [[entity.text for entity in tagging.entities] for tagging in tagger.tag(segments)]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("breast and ovarian cancer", ["breast and ovarian cancer"]),
        ("breast, prostate, and ovarian cancer", ["breast, prostate, and ovarian cancer"]),
        ("breast/ovarian cancers", ["breast/ovarian cancers"]),
        ("in breast-ovarian cancer", ["breast-ovarian cancer"]),
        ("breast cancer and ovarian cancer", ["breast cancer", "ovarian cancer"]),
        ("women and ovarian cancer", ["ovarian cancer"]),
        ("lung or ovarian cancer", ["ovarian cancer"]),
        ("wild breast and anemia", ["anemia"]),
    ],
)
def test_an_enumeration_is_one_mention(index: Lookup, text: str, expected: list[str]) -> None:
    assert tagged(index, Segment(0, text)) == [expected]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Hereditary anemia and severe anemia", ["Hereditary anemia", "anemia"]),
        ("autosomal recessive anemia", ["autosomal recessive anemia"]),
        ("an X-linked anemia", ["X-linked anemia"]),
        ("non-familial anemia", ["anemia"]),
        ("familial breast and ovarian cancer", ["familial breast and ovarian cancer"]),
        ("familial, anemia", ["anemia"]),
        ("hereditary\u00a0 anemia, familial \n anemia", ["hereditary\u00a0 anemia", "familial \n anemia"]),
        ("hereditary\n\nanemia", ["anemia"]),
    ],
)
def test_modifiers_belong_to_the_mention(index: Lookup, text: str, expected: list[str]) -> None:
    assert tagged(index, Segment(0, text)) == [expected]


def test_the_symbol_of_a_gene_is_no_disease(index: Lookup) -> None:
    assert tagged(index, Segment(0, "RB1 and retinoblastoma")) == [["retinoblastoma"]]
    assert tagged(index, Segment(0, "RB1 and retinoblastoma"), language=WITHOUT_RULES) == [
        ["RB1", "retinoblastoma"]
    ]


def test_without_rules_only_names_are_found(index: Lookup) -> None:
    text = "familial breast and ovarian cancer"
    assert tagged(index, Segment(0, text), language=WITHOUT_RULES) == [["ovarian cancer"]]


def test_short_forms_count_from_their_definition_to_the_end_of_the_document(index: Lookup) -> None:
    found = tagged(
        index,
        Segment(0, "A-T is rare."),
        Segment(13, "Ataxia telangiectasia (A-T) has A-T as its short form; FA-TX has not."),
        Segment(90, "A-T (AT) again."),
        Segment(100, "A-T of another document.", 1),
    )
    assert found == [[], ["Ataxia telangiectasia", "A-T", "A-T"], ["A-T"], []]


def test_a_short_form_means_what_its_long_form_means(index: Lookup) -> None:
    text = "Prostate cancer (PC), retinoblastoma protein (RP): PC, RP"
    (tagging,) = DictionaryTagger(index, ["disease"], english()).tag([Segment(0, text)])
    found = [(e.text, e.concept and e.concept.name) for e in tagging.entities]
    prostate = "Prostate Cancer"
    assert found[0] == ("Prostate cancer", prostate)
    assert found[1:] == [("PC", prostate), ("retinoblastoma", "Retinoblastoma"), ("PC", prostate)]
    hits = [e.link for e in tagging.entities if e.link is not None]
    assert [text[hit.start : hit.end] for hit in hits] == [name for name, _ in found]


TOKENS = (
    "breast", "ovarian", "prostate", "cancer", "anemia", "familial", "sporadic", "ataxia", "telangiectasia",
    "and", "/", ",", "-", "(", ")", "AT", "RB1", "İ", "😀",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(TOKENS)).map(" ".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS, max_size=4))
def test_mentions_are_in_order_and_apart(index: Lookup, texts: list[str]) -> None:
    tagger = DictionaryTagger(index, ["disease"], english())
    taggings = list(tagger.tag(Segment(100 * n, text) for n, text in enumerate(texts)))
    assert taggings == list(tagger.tag(Segment(100 * n, text) for n, text in enumerate(texts)))
    for text, tagging in zip(texts, taggings, strict=True):
        Document("d", text, tagging.entities)
        ends = [0, *(entity.end for entity in tagging.entities)]
        assert all(end <= entity.start for end, entity in zip(ends, tagging.entities, strict=False))


SENTENCES = st.sampled_from(
    ["Ataxia telangiectasia (AT) is rare.", "Anemia (AT) too.", "AT II was measured.", "No AT.", "", "\n\n"]
)
DOCUMENTS = st.lists(st.lists(SENTENCES, max_size=4).map(" ".join), max_size=5)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DOCUMENTS, st.booleans())
@example(["Ataxia telangiectasia (AT) is rare.", " AT II was measured."], False)
@example(["", "Ataxia telangiectasia (AT) is rare.", "\n AT II was measured."], True)
def test_a_document_is_tagged_as_if_it_were_alone(
    index: Lookup, texts: list[str], as_sentences: bool
) -> None:
    """The segments of several documents, as the pipeline numbers them, in two orders."""
    tagger = DictionaryTagger(index, ["disease"], english())
    pieces = [pipeline._pieces(text, number, as_sentences, english()) for number, text in enumerate(texts)]
    alone = [list(tagger.tag(segments)) for segments in pieces]
    assert list(tagger.tag(chain(*pieces))) == list(chain(*alone))
    assert list(tagger.tag(chain(*pieces[::-1]))) == list(chain(*alone[::-1]))


def test_rules_are_those_that_are_given(index: Lookup) -> None:
    rules = DictionaryRules(modifiers={"disease": frozenset({"wild"})})
    other = replace(english(), dictionary=rules)
    assert tagged(index, Segment(0, "wild RB1, familial anemia"), language=other) == [["wild RB1", "anemia"]]


def test_development_abstracts_are_tagged_as_well_as_measured(tmp_path: Path, shared_data: Path) -> None:
    texts, gold = read_corpus(shared_data / "corpora/ncbi-disease/NCBIdevelopset_corpus.txt")
    medic = shared_data / "vocab/medic/medic_06Jul2012.txt"
    base.build([base.VocabularySource(medic, "medic")], tmp_path / "kb")
    tagger = DictionaryTagger(Lookup(Store(tmp_path / "kb")), ["disease"], english())
    found = tagger.tag(Segment(0, text, number) for number, text in enumerate(texts))
    predicted = {(n, e.start, e.end) for n, tagging in enumerate(found) for e in tagging.entities}
    assert 2 * len(predicted & gold) / (len(predicted) + len(gold)) > 0.76


def read_corpus(path: Path) -> tuple[list[str], set[tuple[int, int, int]]]:
    """Title, blank and abstract of each document, and the gold spans."""
    texts: list[str] = []
    gold = set()
    for line in path.read_text("utf-8").splitlines():
        if "|t|" in line[:12]:
            texts.append(line.split("|", 2)[2])
        elif "|a|" in line[:12]:
            texts[-1] += " " + line.split("|", 2)[2]
        elif line:
            gold.add((len(texts) - 1, int(line.split("\t")[1]), int(line.split("\t")[2])))
    return texts, gold
