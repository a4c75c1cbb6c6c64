"""The flow from documents to results: order, laziness, bounded reading, offsets, links."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Concept, Document, Entity, Hit, Issue, Segment, Tagging, Usage
from dirag.errors import BackendError
from dirag.pipeline import BATCH, batches, link, scoring, tag
from dirag.text.segment import segments


class Capitals:
    """Finds every "X" of a segment, and reports each segment that holds a "!"."""

    def __init__(self, score: float | None = None) -> None:
        self.seen: list[str] = []
        self._score = score

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        for segment in segments:
            self.seen.append(segment.text)
            found = [i for i, char in enumerate(segment.text) if char == "X"]
            issues = (Issue("unparsed", ""),) if "!" in segment.text else ()
            yield Tagging(
                tuple(Entity(i, i + 1, "letter", "X", self._score) for i in found), issues, Usage(1, 2, 0)
            )

    def notices(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        pass


class Names:
    """An index of one concept, "X"."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def lookup(self, queries: Sequence[str], *, k: int = 5, text: str | None = None) -> list[list[Hit]]:
        self.asked += queries
        return [[hit(query)] if query == "X" else [] for query in queries]

    def scan(self, text: str) -> list[Hit]:
        raise AssertionError("linking looks mentions up")


def hit(text: str) -> Hit:
    return Hit(Concept("C1", "X"), "X", "exact", 1.0, 0, len(text))


def numbered(texts: Iterable[str]) -> Iterator[Document]:
    return (Document(str(i), text) for i, text in enumerate(texts))


TEXTS = st.lists(st.text("aX. \n!", max_size=30), max_size=12)


@settings(deadline=None)
@given(TEXTS)
def test_one_result_a_document_in_order_with_every_entity(texts: list[str]) -> None:
    results = list(tag(numbered(texts), Capitals()))
    assert [result.document for result in results] == list(numbered(texts))
    for text, result in zip(texts, results, strict=True):
        assert [entity.start for entity in result.entities] == [i for i, c in enumerate(text) if c == "X"]
        pieces = segments(text)
        assert result.usage == Usage(len(pieces), 2 * len(pieces), 0)
        assert [issue.where for issue in result.issues] == [
            f"characters {piece.start}-{piece.end}" for piece in pieces if "!" in piece.text
        ]


@settings(deadline=None)
@given(TEXTS)
def test_a_document_taken_whole_is_one_segment(texts: list[str]) -> None:
    tagger = Capitals()
    list(tag(numbered(texts), tagger, as_sentences=True))
    assert tagger.seen == [text for text in texts if text.strip()]


class Numbers(Capitals):
    """Keeps the number of each segment's document."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        for segment in segments:
            self.numbers.append(segment.document)
            yield Tagging()


@pytest.mark.parametrize("as_sentences", [False, True])
def test_no_two_documents_of_a_run_have_one_number(as_sentences: bool) -> None:
    texts = ["X." if number % 3 else "" for number in range(2 * BATCH)]
    tagger = Numbers()
    list(tag(numbered(texts), tagger, as_sentences=as_sentences))
    assert tagger.numbers == [number for number, text in enumerate(texts) if text]


def test_issues_that_came_with_a_document_stay() -> None:
    unreadable = Document("bad", "", issues=(Issue("unreadable", "notes.jsonl:3", "not JSON"),))
    [result] = tag([unreadable], Capitals())
    assert result.issues == unreadable.issues
    assert result.entities == ()


def test_entities_below_the_least_score_are_left_out() -> None:
    def kept(score: float | None) -> int:
        [result] = tag([Document("1", "X")], Capitals(score), min_score=0.5)
        return len(result.entities)

    assert [kept(score) for score in (None, 0.4, 0.5, 0.9)] == [1, 0, 1, 1]


class Varied(Capitals):
    """Finds what ``Capitals`` finds, with a score that depends on the place."""

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        for tagging in super().tag(segments):
            scored = [
                replace(e, score=None if e.start % 5 == 4 else e.start % 5 / 4) for e in tagging.entities
            ]
            yield replace(tagging, entities=tuple(scored))


@settings(deadline=None)
@given(TEXTS, st.floats(0, 1))
def test_the_least_score_decides_nothing_but_what_is_left_out(texts: list[str], least: float) -> None:
    whole = tag(numbered(texts), Varied(), linkers={"letter": Names()})
    for result, left in zip(whole, tag(numbered(texts), Varied(), min_score=least), strict=True):
        assert replace(left, entities=tuple(link(list(left.entities), {"letter": Names()}))) == replace(
            result, entities=tuple(scoring(result.entities, least))
        )


def test_entities_are_linked() -> None:
    index = Names()
    [first, second] = tag([Document("1", "aXa X"), Document("2", "a")], Capitals(), linkers={"letter": index})
    assert [entity.link for entity in first.entities] == [hit("X"), hit("X")]
    assert second.entities == ()
    assert index.asked == ["X", "X"]


def test_linking_leaves_concepts_that_are_there() -> None:
    own = Hit(Concept("C2", "other"), "other", "fuzzy", 0.7, 0, 5)
    given_ = [Entity(0, 1, "letter", "X"), Entity(1, 2, "letter", "y", link=own), Entity(2, 3, "letter", "z")]
    assert [entity.link for entity in link(given_, {"letter": Names()})] == [hit("X"), own, None]
    assert link([], {"letter": Names()}) == []


def test_an_entity_is_linked_by_its_own_type_alone() -> None:
    own, other = Names(), Names()
    entities = [Entity(0, 1, "letter", "X"), Entity(1, 2, "u", "X"), Entity(2, 3, "v", "X")]
    assert [entity.link for entity in link(entities, {"letter": own, "u": other})] == [
        hit("X"),
        hit("X"),
        None,
    ]
    assert (own.asked, other.asked) == (["X"], ["X"])
    assert link(entities, {}) == entities


class Fragile(Capitals):
    """Tags chunks of four segments at once, and raises on a chunk that holds a "?", with its text."""

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        remaining = iter(segments)
        while chunk := list(islice(remaining, 4)):
            for segment in chunk:
                if "?" in segment.text:
                    raise ZeroDivisionError(segment.text)
            yield from super().tag(chunk)


class FragileNames(Names):
    """Raises on a document that holds a "%", with its text."""

    def lookup(self, queries: Sequence[str], *, k: int = 5, text: str | None = None) -> list[list[Hit]]:
        if text and "%" in text:
            raise OverflowError(text)
        return super().lookup(queries, k=k, text=text)


@settings(deadline=None)
@given(st.lists(st.text("aX. \n!?%", max_size=30), max_size=12))
def test_a_document_on_which_a_stage_raises_costs_no_other(texts: list[str]) -> None:
    results = list(tag(numbered(texts), Fragile(), linkers={"letter": FragileNames()}))
    assert [result.document for result in results] == list(numbered(texts))
    for document, result in zip(numbered(texts), results, strict=True):
        [alone] = tag([document], Capitals())
        failed = [issue for issue in result.issues if issue.code == "failed"]
        assert all(issue.where == f"characters 0-{len(document.text)}" for issue in failed)
        details = [issue.detail.rpartition(" at ")[0] for issue in failed]
        if "?" in document.text:
            assert details == ["tagging raised ZeroDivisionError"]
            assert result.entities == ()
        elif "%" in document.text and alone.entities:
            assert details == ["linking raised OverflowError"]
            assert replace(result, issues=alone.issues) == alone
        else:
            assert replace(result, entities=tuple(link(list(alone.entities), {"letter": Names()}))) == result
            assert not failed


class Negation:
    """Negates the entities of segments that begin with "a"; raises with the text where there are none."""

    def classify(self, segments: Sequence[Segment], entities: Sequence[Entity]) -> list[Entity]:
        if not entities:
            raise OverflowError([segment.text for segment in segments])
        negated = [segment for segment in segments if segment.text.startswith("a")]
        inside = [any(s.start <= entity.start < s.end for s in negated) for entity in entities]
        return [replace(e, status=("negated",) if n else ()) for e, n in zip(entities, inside, strict=True)]


def test_status_is_told_last_and_costs_no_other_document_where_it_fails() -> None:
    texts = ["aX!\n\nX", "a", "X"]
    one, two, three = tag(numbered(texts), Capitals(), linkers={"letter": Names()}, status=Negation())
    assert [(e.status, e.concept and e.concept.id) for e in one.entities] == [
        (("negated",), "C1"),
        ((), "C1"),
    ]
    assert [entity.status for entity in three.entities] == [()]
    [issue] = two.issues
    assert (issue.code, issue.where) == ("failed", "characters 0-1")
    assert issue.detail.startswith("status raised OverflowError at ")


@pytest.mark.parametrize("error", [BackendError("the engine is gone"), KeyboardInterrupt()])
def test_what_concerns_the_whole_run_ends_it(error: BaseException) -> None:
    class Broken(Names):
        def lookup(self, *_: object, **__: object) -> list[list[Hit]]:
            raise error

    with pytest.raises(type(error)):
        list(tag([Document("1", "X")], Capitals(), linkers={"letter": Broken()}))


def test_a_tagger_that_gives_too_few_taggings_has_failed() -> None:
    class Short(Capitals):
        def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
            return islice(super().tag(segments), 1)

    one, two = tag([Document("1", "X\n\nX"), Document("2", "X")], Short())
    assert [issue.code for issue in one.issues] == ["failed"]
    assert (two.issues, len(two.entities)) == ((), 1)


def test_a_result_leaves_before_the_next_document_is_there() -> None:
    """The producer waits for each result before it hands on the next document."""
    taken = threading.Semaphore(1)

    def slow() -> Iterator[Document]:
        for i in range(5):
            assert taken.acquire(timeout=60), "the result before this document never came"
            yield Document(str(i), "X")

    for result in tag(slow(), Capitals()):
        assert result.entities
        taken.release()


def test_reading_ahead_is_bounded() -> None:
    read = 0

    def endless() -> Iterator[Document]:
        nonlocal read
        for i in count():
            read = i
            yield Document(str(i), "X")

    results = tag(endless(), Capitals())
    assert [result.document.id for result in islice(results, 3)] == ["0", "1", "2"]
    time.sleep(0.05)
    assert read <= 3 * BATCH
    results.close()  # type: ignore[attr-defined]


def test_the_reader_ends_with_its_consumer() -> None:
    made = batches((Document(str(i), "X") for i in count()), 2)
    next(made)
    made.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name == "dirag-reader":
            thread.join(timeout=60)
            assert not thread.is_alive()


def test_what_the_reader_raises_comes_after_what_it_read() -> None:
    def broken() -> Iterator[Document]:
        yield Document("1", "X")
        raise KeyError("gone")

    results = tag(broken(), Capitals())
    assert next(results).document.id == "1"
    with pytest.raises(KeyError, match="gone"):
        next(results)


@settings(deadline=None)
@given(st.lists(st.integers(), max_size=20), st.integers(1, 5))
def test_batches_hold_everything_once_in_order(numbers: list[int], size: int) -> None:
    documents = [Document(str(n), "X") for n in numbers]
    made = list(batches(documents, size))
    assert [document for batch in made for document in batch] == documents
    assert all(1 <= len(batch) <= size for batch in made)
