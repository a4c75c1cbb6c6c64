"""From the mentions of an answer to entities with exact offsets, and from segments to their document.

In come a text and the mentions of an answer, out go the entities that stand in the text and an issue for
each mention that does not; the entities of windows that overlap are merged, none lost, none doubled. Entities
that no answer names are made where they come from: by the dictionary tagger, and of known names.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from dirag.data import Document, Entity, Issue, Mention, Result, Segment, Tagging, Usage
from dirag.text.occurrences import flat_view, flatten, fold, folded_view, is_bounded, search

Span = tuple[int, int]


class Spanning(Protocol):
    """Whatever has a place in a text."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...


S = TypeVar("S", bound=Spanning)


def place(text: str, mentions: Sequence[Mention]) -> tuple[list[Entity], list[Issue]]:
    """Finds the mentions in the text; entities come in text order and do not overlap.

    A mention with a ``start`` is taken at its word if it stands there. One with an ``occurrence`` is that
    one of :func:`occurrences`. Any other means every place where it stands between token boundaries, exactly
    or, where there is none, with another case, accent, spacing, hyphen or quote; never the inside
    of a word, where cut-off answers and chance would match. Where mentions compete, the ones with a
    ``start`` or ``occurrence`` come first, then exact before tolerant, then the longer, then the
    one named first. A mention that another covers everywhere is an "unparsed" issue, for answers do not
    nest; one that only repeats what others name is none. Time is linear in the text, the mentions and their
    occurrences.
    """
    places = _Places(text, mentions)
    free = _Free(len(text))
    issues: list[Issue] = []
    entities: list[Entity] = []
    seen: set[tuple[str, str]] = set()
    placed: set[tuple[Span, str]] = set()
    # The order decides who gets a place. Mentions that mean a single place come first, as the others would
    # take it among all of theirs. The sort is stable, so of equals the one named first wins.
    for mention in sorted(mentions, key=places.rank):
        spans = places.spans(mention)
        plain = mention.start is None and mention.occurrence is None
        key = (_key(mention.text), mention.type)
        if plain and key in seen:
            continue  # the first has taken all places of both: nothing is lost
        if plain:
            seen.add(key)
        taken = [span for span in spans if free.take(*span)]
        placed |= {(span, mention.type) for span in taken}
        entities += [Entity(s, e, mention.type, text[s:e], mention.score) for s, e in taken]
        if not spans:
            issues.append(Issue("invented", "", f"a mention of type {mention.type}"))
        elif not taken and any((span, mention.type) not in placed for span in spans):
            issues.append(Issue("unparsed", "", f"a mention of type {mention.type} lies on another one"))
    return sorted(entities, key=lambda e: e.start), issues


def occurrences(text: str, names: Sequence[str]) -> dict[str, list[Span]]:
    """Returns where each name stands, blanks aside: those between token boundaries first, then inside words.

    Each part is in text order; the ordinal in an answer counts along this list.
    """
    view = flat_view(text)
    result: dict[str, list[Span]] = {}
    flat = {name: _key(name) for name in names}
    starts = search(view.text, flat.values())
    for name, key in flat.items():
        whole: list[Span] = []
        inside: list[Span] = []
        for start in starts.get(key, ()):
            end = start + len(key)
            (whole if is_bounded(view.text, start, end) else inside).append(view.span(start, end))
        result[name] = whole + inside
    return result


def _key(name: str) -> str:
    return flatten(name).strip()


def longest(spans: Iterable[S]) -> list[S]:
    """Returns the spans that stay where some overlap, in text order: the longest, the first of equals."""
    # Other rules stand where they are needed: Scanner.longest looks names up only where a place is free,
    # Retriever prefers the surer hit, and what is written from left to right the entity that begins first.
    ordered = sorted(spans, key=lambda span: span.start - span.end)
    free = _Free(max((span.end for span in ordered), default=0))
    winners = [span for span in ordered if free.take(span.start, span.end)]
    return sorted(winners, key=lambda span: span.start)


class _Places:
    """The spans that each mention may mean."""

    def __init__(self, text: str, mentions: Sequence[Mention]) -> None:
        self._text = text
        self._exact = occurrences(text, [m.text for m in mentions if m.start is None])
        self._bounded = {
            name: [s for s in spans if is_bounded(self._text, *s)] for name, spans in self._exact.items()
        }
        # Only names that stand nowhere as written: beside an "AT" in the text, "AT" does not mean "at" too.
        self._tolerant = self._search_folded([name for name, spans in self._bounded.items() if not spans])

    def _search_folded(self, names: Sequence[str]) -> dict[str, list[Span]]:
        if not names:
            return {}
        view = folded_view(self._text)
        forms = {name: fold(name) for name in names}
        hits = search(view.text, forms.values())
        spans = {form: [view.span(s, s + len(form)) for s in starts] for form, starts in hits.items()}
        return {
            name: [s for s in spans.get(form, ()) if is_bounded(self._text, *s)]
            for name, form in forms.items()
        }

    def spans(self, mention: Mention) -> list[Span]:
        if mention.start is not None:
            span = (mention.start, mention.start + len(mention.text))
            return [span] if mention.text and self._text[slice(*span)] == mention.text else []
        if mention.occurrence is not None:
            # Counted over places inside words too: an ordinal is the only way to mean one of these.
            spans = self._exact[mention.text] or self._tolerant.get(mention.text, [])
            return spans[mention.occurrence - 1 : mention.occurrence] if mention.occurrence > 0 else []
        return self._bounded[mention.text] or self._tolerant[mention.text]

    def rank(self, mention: Mention) -> tuple[bool, bool, int]:
        if mention.start is not None or mention.occurrence is not None:
            return (False, False, 0)
        return (True, not self._bounded[mention.text], -len(_key(mention.text)))


class _Free:
    """Which of so many characters nothing has taken yet."""

    def __init__(self, length: int) -> None:
        self._taken = bytearray(length)

    def take(self, start: int, end: int) -> bool:
        """Takes the characters of a span if all are free, and tells whether it was."""
        if self._taken.find(1, start, end) >= 0:
            return False
        self._taken[start:end] = b"\1" * (end - start)
        return True


def to_result(document: Document, segments: Sequence[Segment], taggings: Sequence[Tagging]) -> Result:
    """Merges the entities and issues of segments, in text order, with offsets into the document.

    Issues that say no place get the segment's offsets as theirs; the document's own issues come first.
    """
    issues = list(document.issues)
    usage = Usage()
    for segment, tagging in zip(segments, taggings, strict=True):
        issues += [issue if issue.where else replace(issue, where=segment.where) for issue in tagging.issues]
        usage += tagging.usage
    entities = merge(segments, [tagging.entities for tagging in taggings])
    return Result(document, tuple(entities), tuple(issues), usage)


def merge(segments: Sequence[Segment], entities: Sequence[Sequence[Entity]]) -> list[Entity]:
    """Returns the entities of segments that may overlap, moved to document offsets, sorted.

    The same span and type found by several windows is one entity with the best score. Where different
    entities of different windows overlap, the longest stays (a window's edge cuts mentions short), then
    the better score, then the earlier window. Entities of one segment never push each other out.
    """
    moved = [
        (index, replace(entity, start=segment.start + entity.start, end=segment.start + entity.end))
        for index, (segment, tagged) in enumerate(zip(segments, entities, strict=True))
        for entity in tagged
    ]
    moved.sort(key=lambda item: (item[1].start - item[1].end, -(item[1].score or 0.0), item[0]))
    winners = _Windowed()
    for index, entity in moved:
        # Only what another window says can be a copy of the same mention, cut at the edge.
        if all(index == other for other, _ in winners.overlapping(entity)):
            winners.add(index, entity)
    return [entity for _, entity in winners]


class _Windowed:
    """Entities in text order, with the window that each came from; overlaps are found by bisection."""

    def __init__(self) -> None:
        self._items: list[tuple[int, int, int, int]] = []
        self._entities: list[tuple[int, Entity]] = []
        self._longest = 0

    def add(self, window: int, entity: Entity) -> None:
        insort(self._items, (entity.start, entity.end, len(self._entities), window))
        self._entities.append((window, entity))
        self._longest = max(self._longest, entity.end - entity.start)

    def overlapping(self, entity: Entity) -> Iterator[tuple[int, Entity]]:
        # What begins earlier than this by more than the longest there is has ended before the entity begins.
        at = bisect_left(self._items, (entity.start - self._longest,))
        while at < len(self._items) and self._items[at][0] < entity.end:
            if self._items[at][1] > entity.start:
                yield self._entities[self._items[at][2]]
            at += 1

    def __iter__(self) -> Iterator[tuple[int, Entity]]:
        return (self._entities[number] for _, _, number, _ in self._items)
