"""Perturbed copies: the laws of the alignment, of every kind of edit, and what the edits are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Concept, Document, Entity, Hit
from dirag.evaluate.robustness.alignment import Alignment, TextPiece
from dirag.evaluate.robustness.names import ConceptNames
from dirag.evaluate.robustness.perturb import CHANGING, KEEPING, Perturbed, perturb
from dirag.text.language import english
from dirag.text.normalise import normaliser

NAMES = normaliser(english())


CONCEPTS = (
    Concept("D:1", "Myocardial infarction", ("Heart attack", "MI", "Infarction, myocardial")),
    Concept("D:2", "Gout", ("Gouty arthritis", "Gout, unspecified")),
    Concept("D:3", "Ataxia telangiectasia", ("Louis-Bar syndrome",)),
    Concept("D:4", "Wilson disease", ("Hepatolenticular degeneration",)),
)


class Book:
    """An index that knows the names above, and nothing that is merely like them."""

    def lookup(self, queries: Sequence[str], *, k: int = 5, text: str | None = None) -> list[list[Hit]]:
        return [
            [Hit(c, name, "exact", 1.0, 0, len(query)) for c in CONCEPTS for name in (c.name, *c.synonyms)
             if NAMES.key(name) == NAMES.key(query)][:k]
            for query in queries
        ]  # fmt: skip

    def scan(self, text: str) -> list[Hit]:
        raise AssertionError("names are found by exact look-up")


MENTIONS = st.sampled_from(
    ["heart attack", "gout", "Gouty arthritis", "ataxia telangiectasia", "AT", "Wilson disease", "β-sheet "
     "myopathy", "difficult flu", "ﬁbroma", "rare ‘ill’", "İll", "hay-fever"]
)  # fmt: skip
FILLERS = st.sampled_from(
    ["The", "patient's", "mRNA", "of", "TGFβ1", "alpha-2", '"so', 'called"', "straße", "5 μg", "was", "(",
     ")", "found.", "ill!", "  ", "\n", "in", "Wilson", "with-", "a\u0301", "ς", "ffi"]
)  # fmt: skip
DEFINITIONS = st.just(["@ataxia telangiectasia", "(@AT)"]) | st.just(["@AT", "(@ataxia telangiectasia)"])
WORDS = FILLERS.map(lambda w: [w]) | MENTIONS.map(lambda m: ["@" + m]) | DEFINITIONS


def annotated(words: Sequence[str]) -> Document:
    """The words, parted by spaces, as a document; what follows a ``@`` is a gold mention, to the bracket."""
    text, entities = "", []
    for word in words:
        before, mark, mention = word.partition("@")
        mention = mention.rstrip() if mark else ""
        name = mention.removesuffix(")")
        start = len(text) + len(before)
        if mark:
            entities.append(Entity(start, start + len(name), "disease", name))
        text += (before + mention if mark else word) + " "
    return Document("d", text.rstrip(" "), tuple(entities))


DOCUMENTS = st.lists(WORDS, max_size=25).map(lambda parts: annotated([w for part in parts for w in part]))
KNOWN = [annotated(["@" + name for concept in CONCEPTS for name in (concept.name, *concept.synonyms)])]


def copies(document: Document, kinds: Sequence[str] = (*KEEPING, *CHANGING)) -> Iterator[Perturbed]:
    names = ConceptNames({"disease": Book()}, [document, *KNOWN], english())
    for seed, kind in enumerate(kinds):
        if copy := perturb(document, kind, names, seed=seed):
            yield copy


@st.composite
def alignments(draw: st.DrawFn) -> tuple[str, Alignment]:
    text = draw(st.text("abc ", min_size=1, max_size=12))
    cuts = sorted({0, len(text), *draw(st.lists(st.integers(0, len(text)), max_size=5))})
    pieces = [
        TextPiece(*span, draw(st.none() | st.text("XYZ", min_size=1, max_size=3))) for span in pairwise(cuts)
    ]
    return text, Alignment(tuple(draw(st.permutations(pieces))))


def inverse(alignment: Alignment, text: str) -> Alignment:
    """Returns the alignment of the new text with the old one, which is ``text``."""
    pieces, at = [], 0
    for old in alignment.pieces:
        original = text[old.start : old.end]
        end = at + len(original if old.new is None else old.new)
        pieces.append((old.start, TextPiece(at, end, None if old.new is None else original)))
        at = end
    return Alignment(tuple(piece for _, piece in sorted(pieces, key=lambda pair: pair[0])))


# -- alignment -------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(alignments())
def test_an_alignment_is_invertible(made: tuple[str, Alignment]) -> None:
    text, alignment = made
    new, back = alignment.apply(text), inverse(alignment, text)
    assert back.apply(new) == text
    assert inverse(back, new) == alignment
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            span = alignment.span(start, end)
            assert span is None or back.span(*span) == (start, end)


@settings(deadline=None)
@given(alignments())
def test_spans_are_those_of_a_map_of_characters(made: tuple[str, Alignment]) -> None:
    text, alignment = made
    where: dict[int, list[int]] = {}  # an old character's places in the new text: of an edit, all of it
    whole: dict[int, TextPiece] = {}
    at = 0
    for piece in alignment.pieces:
        size = piece.end - piece.start if piece.new is None else len(piece.new)
        for i in range(piece.start, piece.end):
            where[i] = [at + i - piece.start] if piece.new is None else list(range(at, at + size))
            whole[i] = TextPiece(i, i + 1) if piece.new is None else piece
        at += size
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            inside = all(start <= whole[i].start and whole[i].end <= end for i in range(start, end))
            new = sorted({place for i in range(start, end) for place in where[i]})
            expected = (new[0], new[-1] + 1) if inside and new == list(range(new[0], new[-1] + 1)) else None
            assert alignment.span(start, end) == expected


@settings(deadline=None)
@given(st.text("ab", max_size=9), st.lists(st.tuples(st.integers(0, 8), st.integers(1, 3)), max_size=5))
def test_parts_are_laid_into_their_text(text: str, drawn: list[tuple[int, int]]) -> None:
    parts = [TextPiece(at, at + size, "X") for at, size in drawn if at + size <= len(text)]
    pieces = Alignment.of(text, parts).pieces
    assert [i for piece in pieces for i in range(piece.start, piece.end)] == list(range(len(text)))
    assert {piece for piece in pieces if piece.new} <= set(parts)
    assert all(any(p.start < q.end and q.start < p.end for q in pieces if q.new) for p in parts)


# -- every kind of edit ----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(DOCUMENTS)
def test_gold_entities_are_carried_over(document: Document) -> None:
    for copy in copies(document):
        span = copy.alignment.span
        kept = [e for e in document.entities if copy.kind != "non-entity" or e not in copy.replaced]
        carried = sorted((*(span(e.start, e.end) or ()), e.type) for e in kept)
        assert [(e.start, e.end, e.type) for e in copy.after.entities] == carried
        assert bool(copy.replaced) == (copy.kind in CHANGING)


@settings(deadline=None, max_examples=150)
@given(DOCUMENTS)
def test_nothing_else_is_changed_and_the_old_text_comes_back(document: Document) -> None:
    for copy in copies(document):
        pieces = copy.alignment.pieces
        assert sorted(i for p in pieces for i in range(p.start, p.end)) == list(range(len(document.text)))
        assert copy.alignment.apply(document.text) == copy.after.text != document.text
        assert inverse(copy.alignment, document.text).apply(copy.after.text) == document.text
        edits = [p for p in pieces if p.new is not None]
        assert all(p.new and p.new != document.text[p.start : p.end] for p in edits)
        if copy.kind in ("synonym", "abbreviation", *CHANGING):
            assert {(p.start, p.end) for p in edits} <= {(e.start, e.end) for e in document.entities}
        if copy.kind not in ("order", "abbreviation"):
            assert list(pieces) == sorted(pieces, key=lambda piece: piece.start)


@settings(deadline=None, max_examples=80)
@given(DOCUMENTS)
def test_an_edit_is_what_its_kind_says(document: Document) -> None:
    old = document.text
    for copy in copies(document):
        new, edits = copy.after.text, [p for p in copy.alignment.pieces if p.new is not None]
        match copy.kind:
            case "case":
                assert len(new) == len(old)
                assert new.casefold() == old.casefold()
            case "whitespace":
                assert new.split() == old.split()
            case "typography":
                assert list(words(new)) == list(words(old))
            case "order":
                assert not edits
                parted = [old[p.start : p.end] for p in copy.alignment.pieces]
                ordered = [old[p.start : p.end] for p in sorted(copy.alignment.pieces, key=lambda p: p.start)]
                moved = [pair for pair in zip(parted, ordered, strict=True) if pair[0] != pair[1]]
                assert all(sentence[-1] in ".!" for pair in moved for sentence in pair)
            case "synonym":
                assert all(meant(p.new) == meant(old[p.start : p.end]) != set() for p in edits)
            case "concept":
                there = {NAMES.key(entity.text) for entity in document.entities}
                assert there.isdisjoint(NAMES.key(str(p.new)) for p in edits)
                assert all(meant(p.new) and meant(p.new) != meant(old[p.start : p.end]) for p in edits)
            case "non-entity":
                assert {str(p.new).lower() for p in edits} <= set(english().names.phrases)
            case "abbreviation":
                assert {str(p.new).lower() for p in edits} <= {"at", "ataxia telangiectasia"}


@settings(deadline=None, max_examples=20)
@given(DOCUMENTS)
def test_the_same_seed_gives_the_same_copy_whatever_comes_before(document: Document) -> None:
    assert list(copies(document)) == list(copies(document))
    names = ConceptNames({"disease": Book()}, [document, *KNOWN], english())
    alone = perturb(document, "concept", names, seed=6)
    perturb(KNOWN[0], "concept", names, seed=6)
    assert perturb(document, "concept", names, seed=6) == alone


def words(text: str) -> Iterator[str]:
    return (word for word, _, _ in NAMES.words(text))


def meant(name: str | None) -> set[str]:
    return {hit.concept.id for hits in Book().lookup([name or ""]) for hit in hits}


# -- what the edits are ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "new"),
    [
        ("typography", 'Difficult "flu" of 5 μg', "Diﬃcult “ﬂu” of 5 μg"),
        ("typography", "TGFβ1 and alpha-fetoprotein’s", "TGFbeta1 and α‐fetoprotein's"),
        ("order", "One\nTwo came. Three went.", "One\nThree went. Two came."),
        ("order", "Only one came.", None),
        ("whitespace", "a , b", None),
        ("case", "DNA mRNA A", None),
        ("abbreviation", "Ataxia (AT) is rare.", None),
    ],
)
def test_known_edits(kind: str, text: str, new: str | None) -> None:
    made = {
        copy.after.text if copy else None
        for seed in range(20)
        for copy in [perturb(Document("d", text), kind, ConceptNames({}, (), english()), seed=seed)]
    }
    assert new in made
    assert new is not None or made == {None}


def test_a_definition_is_turned_round_and_its_forms_stand_for_each_other() -> None:
    document = annotated(["@Ataxia telangiectasia", "(@AT)", "is rare.", "@AT", "is not @gout."])
    [copy] = copies(document, ["abbreviation"])
    assert copy.after.text == "AT (Ataxia telangiectasia) is rare. Ataxia telangiectasia is not gout."


def test_names_are_written_as_inside_a_sentence() -> None:
    seen = Document("x", "He has Wilson disease and no gout; Gout is rare.")
    names = ConceptNames({}, [seen], english())
    written = [
        names.running(name) for name in ("Gout", "Wilson disease", "Hepatitis", "DNA damage", "A fever")
    ]
    assert written == ["gout", "Wilson disease", "hepatitis", "DNA damage", "A fever"]


@pytest.mark.parametrize("words", [["a-@gout"], ["@MI"], ["@heart attack", "(HA)"]])
def test_mentions_within_words_acronyms_and_definitions_get_no_other_name(words: list[str]) -> None:
    assert not list(copies(annotated(words), ["synonym"]))


def test_nested_mentions_are_left_as_they_are() -> None:
    inner = Entity(6, 10, "disease", "gout")
    document = Document("d", "Acute gout", (Entity(0, 10, "disease", "Acute gout"), inner))
    assert {copy.kind for copy in copies(document)} <= {"case", "whitespace"}


def test_no_edit_cuts_an_entity() -> None:
    document = Document("d", "off effort", (Entity(0, 2, "disease", "of"),))
    [copy] = copies(document, ["typography"])
    assert copy.after.text == "off eﬀort"


def test_an_entity_across_sentences_holds_them_together() -> None:
    text = "One came. Two went. Three fell."
    document = Document("d", text, (Entity(5, 14, "disease", text[5:14]),))
    [copy] = copies(document, ["order"])
    assert copy.after.text == "Three fell. One came. Two went."


def test_the_concept_of_a_carried_entity_moves_with_it() -> None:
    hit = Hit(CONCEPTS[1], "gout", "exact", 1.0, 9, 13)
    document = Document("d", "One came. Gout went.", (Entity(10, 14, "disease", "Gout", link=hit),))
    [moved] = copies(document, ["order"])
    [entity] = moved.after.entities
    assert entity.link is not None
    assert (entity.link.start, entity.link.end, entity.concept) == (0, 4, CONCEPTS[1])
    [changed] = copies(document, ["concept"])
    assert changed.after.entities[0].link is None
