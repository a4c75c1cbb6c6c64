"""Mentions are placed exactly or reported, and windows merge without losing or doubling an entity."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Document, Entity, Issue, Mention, Segment, Tagging, Usage
from dirag.text.align import longest, merge, occurrences, place, to_result
from dirag.text.occurrences import flatten, is_boundary

WORDS = ["colon", "cancer", "Cancer", "cancer-free", "anti", "İnek", "p53", "p53\n", "cancers", ";"]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)
names = st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join).map(str.strip)
mentions = st.builds(
    Mention,
    names,
    st.sampled_from(["disease", "gene"]),
    start=st.one_of(st.none(), st.none(), st.integers(0, 20)),
    occurrence=st.one_of(st.none(), st.none(), st.integers(-1, 4)),
)


def spans(entities: list[Entity]) -> list[tuple[int, int]]:
    return [(e.start, e.end) for e in entities]


@settings(deadline=None)
@given(texts, st.lists(mentions, max_size=6))
def test_entities_stand_in_the_text_in_order_and_apart(text: str, named: list[Mention]) -> None:
    entities, issues = place(text, named)
    assert Document("d", text, tuple(entities)).entities == tuple(entities)
    assert all(a.end <= b.start for a, b in pairwise(entities))
    assert {e.type for e in entities} <= {m.type for m in named}
    assert bool(named) == bool(entities or issues)
    assert not any(word in issue.detail for issue in issues for word in ("colon", "cancer", "p53"))


@settings(deadline=None)
@given(texts, names)
def test_one_mention_means_what_brute_force_finds(text: str, name: str) -> None:
    lengths = range(1, len(text) + 1)
    everywhere = [
        (i, i + n)
        for i in range(len(text))
        for n in lengths
        if i + n <= len(text) and flatten(text[i : i + n]) == flatten(name)
    ]
    bounded = [s for s in everywhere if is_boundary(text, s[0]) and is_boundary(text, s[1])]
    inside = [s for s in everywhere if s not in bounded]
    assert occurrences(text, [name])[name] == bounded + inside
    if bounded:
        apart: list[tuple[int, int]] = []
        for span in bounded:
            if not apart or span[0] >= apart[-1][1]:
                apart.append(span)
        entities, issues = place(text, [Mention(name, "disease")])
        assert (spans(entities), issues) == (apart, [])


def test_tolerant_matching_keeps_offsets_behind_characters_that_fold_to_several() -> None:
    text = "İİİ: Crohn’s\r\n disease; IL - 2, SJÖGREN"
    entities, issues = place(
        text, [Mention("crohn's disease", "d"), Mention("il-2", "g"), Mention("sjogren", "d")]
    )
    assert [e.text for e in entities] == ["Crohn’s\r\n disease", "IL - 2", "SJÖGREN"]
    assert issues == []


def test_a_mention_inside_a_word_is_placed_only_by_its_ordinal() -> None:
    text = "antihypertensive drugs in influenza"
    assert place(text, [Mention("flu", "disease")]) == (
        [],
        [Issue("invented", "", "a mention of type disease")],
    )
    entities, issues = place(text, [Mention("hypertensive", "disease", occurrence=1)])
    assert (spans(entities), issues) == ([(4, 16)], [])


def test_the_longer_mention_wins_and_the_covered_one_is_counted() -> None:
    text = "breast cancer and cancer; APC"
    entities, issues = place(
        text, [Mention("cancer", "d"), Mention("breast cancer", "d"), Mention("breast", "d")]
    )
    assert [e.text for e in entities] == ["breast cancer", "cancer"]
    assert [issue.code for issue in issues] == ["unparsed"]


def test_a_place_that_was_named_comes_before_strings() -> None:
    entities, issues = place("lung cancer", [Mention("lung cancer", "d"), Mention("cancer", "d", start=5)])
    assert [e.text for e in entities] == ["cancer"]
    assert [issue.code for issue in issues] == ["unparsed"]


def test_a_wrong_start_or_ordinal_is_an_invented_mention() -> None:
    for mention in (
        Mention("lung", "d", start=1),
        Mention("lung", "d", occurrence=2),
        Mention("", "d", start=0),
    ):
        assert [issue.code for issue in place("lung cancer", [mention])[1]] == ["invented"]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 6)), max_size=15),
    st.integers(5, 9),
    st.integers(1, 9),
)
def test_windows_that_hold_every_entity_merge_to_exactly_these(
    gaps: list[tuple[int, int]], overlap: int, step: int
) -> None:
    gold: list[Entity] = []
    at = 0
    for length, gap in gaps:
        gold.append(Entity(at + gap, at + gap + length, "d", "x" * length))
        at += gap + length
    text = "x" * at
    segments = [Segment(i, text[i : i + step + overlap]) for i in range(0, max(at, 1), step)]
    found = [
        [
            Entity(e.start - s.start, e.end - s.start, e.type, e.text)
            for e in gold
            if s.start <= e.start and e.end <= s.end
        ]
        for s in segments
    ]
    assert merge(segments, found) == gold


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(1, 4)), max_size=12))
def test_what_a_merge_leaves_out_is_covered_by_another_window(raw: list[tuple[int, int, int]]) -> None:
    segments = [Segment(5 * i, "x" * 13) for i in range(4)]
    found: list[list[Entity]] = [[], [], [], []]
    for window, start, length in raw:
        if all(start >= e.end or start + length <= e.start for e in found[window]):
            found[window].append(Entity(start, start + length, "d", "x" * length))
    merged = merge(segments, found)
    assert all(a.end <= b.start for a, b in pairwise(merged))
    for window, entities in enumerate(found):
        for entity in entities:
            start, end = entity.start + 5 * window, entity.end + 5 * window
            assert any(
                e.start < end and start < e.end and e.end - e.start >= entity.end - entity.start
                for e in merged
            )


def test_of_equal_entities_the_best_scored_stays_and_nested_ones_of_a_window_both_stay() -> None:
    segments = [Segment(0, "lung cancer"), Segment(5, "cancer")]
    nested = [Entity(0, 11, "d", "lung cancer", 0.2), Entity(5, 11, "d", "cancer", 0.1)]
    assert merge(segments, [nested, []]) == nested
    assert merge(segments, [nested[1:], [Entity(0, 6, "d", "cancer", 0.9)]]) == [
        Entity(5, 11, "d", "cancer", 0.9)
    ]


def test_a_result_has_document_offsets_all_issues_and_the_sum_of_usage() -> None:
    own = Issue("unusable-label", "line 3")
    document = Document("d", "No flu.\nFlu.", issues=(own,))
    segments = [Segment(0, "No flu."), Segment(8, "Flu.")]
    taggings = [
        Tagging((Entity(3, 6, "d", "flu"),), (Issue("failed", "server"),), Usage(3, 1)),
        Tagging((Entity(0, 3, "d", "Flu"),), (Issue("invented", ""),), Usage(4, 2, 1)),
    ]
    result = to_result(document, segments, taggings)
    assert spans(list(result.entities)) == [(3, 6), (8, 11)]
    assert result.issues == (own, Issue("failed", "server"), Issue("invented", "characters 8-12"))
    assert result.usage == Usage(7, 3, 1)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5)), max_size=8))
def test_the_longest_stay_as_if_chosen_one_by_one(places: list[tuple[int, int]]) -> None:
    """Against a search over all that is left for the longest, the first of equals, until none is free."""
    spans = [Entity(start, start + length, f"{n}", "x" * length) for n, (start, length) in enumerate(places)]
    free, kept = list(spans), []
    while free:
        best = max(free, key=lambda span: span.end - span.start)
        kept.append(best)
        free = [span for span in free if span.end <= best.start or best.end <= span.start]
    assert longest(spans) == sorted(kept, key=lambda span: span.start)
