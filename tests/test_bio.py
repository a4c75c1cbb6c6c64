from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, IOE2, Tokens

from dirag.data import Document, Entity
from dirag.formats.bio_tags import ANY_SCHEME, STRICT_BIO, WordSpan, from_bio, to_bio

TAGS = st.sampled_from(["O", "B-disease", "I-disease", "B-gene", "I-gene"])
TAGGED = st.lists(st.tuples(st.text("ab-.β", min_size=1, max_size=4), TAGS), max_size=12)


def split(tagged: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [token for token, _ in tagged], [tag for _, tag in tagged]


def entity(text: str, start: int, end: int, kind: str = "disease") -> Entity:
    return Entity(start, end, kind, text[start:end])


@given(TAGGED)
def test_the_entities_are_those_of_seqeval(tagged: list[tuple[str, str]]) -> None:
    tokens, tags = split(tagged)
    _, entities, issues = from_bio(tokens, tags)
    starts = [len(" ".join([*tokens[:i], ""])) for i in range(len(tokens))]
    theirs = [
        (starts[e.start], starts[e.end - 1] + len(tokens[e.end - 1]), e.tag)
        for e in Tokens(tags, IOB2).entities
    ]
    assert [(e.start, e.end, e.type) for e in entities] == theirs
    covered = sum(len(e.text.split()) for e in entities)
    assert covered + len(issues) == sum(tag != "O" for tag in tags)


@given(st.lists(st.sampled_from(["O", *(f"{prefix}-{type_}" for prefix in "BIES" for type_ in "xy")])))
def test_any_tags_have_the_spans_of_seqeval_by_default(tags: list[str]) -> None:
    spans, refused = ANY_SCHEME.spans(tags)
    assert [(type_, start, end - 1) for start, end, type_ in spans] == get_entities(tags)
    assert refused == []


SEGMENTS = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["", "x", "y"])), max_size=6)


@pytest.mark.parametrize("scheme", [IOB1, IOE2, IOB2, IOBES, BILOU])
@given(SEGMENTS)
def test_tags_of_every_scheme_have_its_spans(scheme: type, segments: list[tuple[int, str]]) -> None:
    tags: list[str] = []
    spans: list[WordSpan] = []
    for length, type_ in segments:
        before = len(tags)
        if not type_:
            tags += ["O"] * length
            continue
        follows = bool(spans and spans[-1] == (spans[-1].start, before, type_))
        spans.append(WordSpan(before, before + length, type_))
        tags += [f"{prefix}-{type_}" for prefix in prefixes(scheme.__name__, length, follows=follows)]
    assert [(e.start, e.end, e.tag) for e in Tokens(tags, scheme).entities] == spans
    assert ANY_SCHEME.spans(tags) == (spans, [])
    assert (STRICT_BIO.spans(tags) == (spans, [])) or scheme is not IOB2


def prefixes(scheme: str, length: int, *, follows: bool) -> str:
    """Spells an entity of so many words; ``follows``: behind another of its type, without a word between."""
    inside = "I" * length
    if scheme in ("IOBES", "BILOU"):
        single, last = ("S", "E") if scheme == "IOBES" else ("U", "L")
        return single if length == 1 else f"B{inside[2:]}{last}"
    if scheme == "IOE2":
        return f"{inside[1:]}E"
    return f"B{inside[1:]}" if follows or scheme == "IOB2" else inside


def test_inside_tags_alone_are_one_entity_as_long_as_their_type_stays() -> None:
    assert ANY_SCHEME.spans(["I-x", "I-x", "O", "I-x", "I-y"])[0] == [(0, 2, "x"), (3, 4, "x"), (4, 5, "y")]


@given(TAGGED)
def test_spans_and_tags_say_the_same(tagged: list[tuple[str, str]]) -> None:
    tokens, tags = split(tagged)
    text, entities, issues = from_bio(tokens, tags)
    Document("d", text, entities)
    again, tags_again, left_out = to_bio(text, reversed(entities))
    assert again == tokens
    assert left_out == []
    assert (tags_again == tags) == (not issues)
    assert from_bio(again, tags_again) == (text, entities, ())


@given(st.text(" ab\n\t\u00a0\u2028x", max_size=20), st.data())
def test_every_entity_is_tagged_or_handed_back(text: str, data: st.DataObject) -> None:
    spans = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)), st.sampled_from("xy"))
    drawn = data.draw(st.lists(spans.filter(lambda s: s[0] < s[1]), max_size=6)) if text else []
    entities = [entity(text, *span) for span in drawn]
    tokens, tags, left_out = to_bio(text, entities)
    assert tokens == text.split()
    _, tagged, issues = from_bio(tokens, tags)
    assert not issues
    assert len(tagged) + len(left_out) == len(entities)
    expected = list(entities)
    for untagged in left_out:
        expected.remove(untagged)
    expected.sort(key=lambda e: e.start)
    assert [(e.text, e.type) for e in tagged] == [(" ".join(e.text.split()), e.type) for e in expected]


@pytest.mark.parametrize(
    "span",
    [(0, 3), (1, 6), (0, 7), (7, 9)],
    ids=["ends inside", "begins inside", "ends on a space", "in a word"],
)
def test_a_span_off_the_token_boundaries_is_handed_back(span: tuple[int, int]) -> None:
    text = "ataxia-telangiectasia".replace("-", " -")
    off = entity(text, *span)
    assert to_bio(text, [off]) == (["ataxia", "-telangiectasia"], ["O", "O"], [off])


def test_of_overlapping_entities_the_first_and_longest_is_tagged() -> None:
    text = "breast cancer gene"
    long, short, late = entity(text, 0, 13), entity(text, 0, 6), entity(text, 7, 18, "gene")
    assert to_bio(text, [late, short, long]) == (text.split(), ["B-disease", "I-disease", "O"], [short, late])


@pytest.mark.parametrize("tag", ["", "B", "I-", "E-x", "S-x", "disease", "b-x", "OO", "O-x", "-"])
def test_a_tag_outside_the_scheme_costs_that_token_only(tag: str) -> None:
    _, entities, issues = from_bio(["a", "b", "c", "d"], ["B-x", tag, "I-x", "B-x"])
    assert [(e.start, e.end) for e in entities] == [(0, 1), (6, 7)]
    assert [issue.where for issue in issues] == ["token 2", "token 3"]
    assert all(issue.code == "unusable-label" for issue in issues)


def test_an_empty_token_bears_no_entity() -> None:
    text, entities, issues = from_bio(["a", "", ""], ["B-x", "I-x", "B-x"])
    assert (text, [e.text for e in entities]) == ("a  ", ["a"])
    assert len(issues) == 2


def test_an_issue_never_repeats_document_text() -> None:
    *_, issues = from_bio(["Smith", "John"], ["I-Smith", "John"])
    assert len(issues) == 2
    assert not any("Smith" in str(issue) or "John" in str(issue) for issue in issues)


def test_tokens_without_their_tags_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        from_bio(["a", "b"], ["O"])
