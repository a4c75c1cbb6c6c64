"""The whole flow: documents -> segments -> taggings -> results, streaming, in input order.

``tag`` knows the order of segmentation, tagging, alignment, linking and status; what happens within tagging
is the tagger's own (``taggers.llm`` has the order of prompts and answers). Memory is bounded by one batch of
documents; a result leaves as soon as the last segment of its document is tagged. What raises on one document
costs that document only, and is an issue of its record.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, count
from typing import TypeVar

from dirag.data import Document, Entity, Hit, Issue, Result, Segment, Tagging
from dirag.errors import DiragError, place_of
from dirag.protocols import AssertionClassifier, Index, Tagger
from dirag.text.align import to_result
from dirag.text.language import Language, english
from dirag.text.segment import segments

BATCH = 512

T = TypeVar("T")


def tag(
    documents: Iterable[Document],
    tagger: Tagger,
    *,
    linkers: Mapping[str, Index] | None = None,
    status: AssertionClassifier | None = None,
    min_score: float = 0.0,
    as_sentences: bool = False,
    language: Language | None = None,
) -> Iterator[Result]:
    """Yields the result of each document, in order.

    ``linkers`` has for entity types the index of concepts that their entities are linked to; those of other
    types get none. ``status`` tells what the text says of them: negated, historical. Entities that score less
    than ``min_score`` are left out, last of all, so that no others take their place; one without a score
    stays. ``as_sentences`` takes each document as one segment (a corpus that comes as sentences). Without a
    ``language`` texts are English. A document without text is passed on with the issues that it came with.

    Where a stage raises on a document, its record has an issue "failed" in place of what the stage gives.
    Raises every DiragError: an engine or a file that fails, fails for all documents.
    """
    numbers, language = count(), language or english()
    for batch in batches(documents, BATCH):
        guards = [_Guard(document) for document in batch]
        pieces: list[list[Segment]] = [
            guard.attempt(
                "segmentation", partial(_pieces, document.text, next(numbers), as_sentences, language), []
            )
            for document, guard in zip(batch, guards, strict=True)
        ]
        tagged = _tagged(tagger, pieces, guards)
        for document, parts, taggings, guard in zip(batch, pieces, tagged, guards, strict=True):
            aligned = partial(_aligned, document, parts, taggings, min_score)
            result = guard.attempt("alignment", aligned, Result(document, issues=document.issues))
            if linkers:
                result = guard.attempt("linking", partial(_linked, result, linkers), result)
            if status:
                result = guard.attempt("status", partial(_asserted, result, parts, status), result)
            yield replace(result, issues=(*result.issues, *guard.issues))


class _Guard:
    """Keeps what a stage raises on one document from the others: it becomes an issue of its record."""

    def __init__(self, document: Document) -> None:
        self.issues: list[Issue] = []
        self._where = Segment(0, document.text).where

    def attempt(self, stage: str, act: Callable[[], T], otherwise: T) -> T:
        """Returns the result of the stage or, where it raises, ``otherwise``.

        The issue names the place in the code, not the exception's message, which may quote the document.
        """
        try:
            return act()
        except DiragError:
            raise
        except Exception as error:  # noqa: BLE001 - other documents must not suffer from it
            detail = f"{stage} raised {type(error).__name__} at {place_of(error)}"
            self.issues.append(Issue("failed", self._where, detail))
            return otherwise


def _tagged(
    tagger: Tagger, pieces: Sequence[Sequence[Segment]], guards: Sequence[_Guard]
) -> Iterator[list[Tagging]]:
    """Yields the taggings of each document's segments, in one stream as long as the tagger does not raise.

    It reads ahead, so the document at hand need not be the one on which it raised: that one is tagged by
    itself, and a new stream begins behind it.
    """
    done = 0
    while done < len(pieces):
        stream = tagger.tag(chain.from_iterable(pieces[done:]))
        is_whole = True
        while done < len(pieces) and is_whole:
            parts = pieces[done]
            try:
                taggings = _taken(stream, len(parts))
            except DiragError:
                raise
            except Exception:  # noqa: BLE001 - the attempt below says what became of this document
                is_whole = False
                alone = partial(_alone, tagger, parts)
                taggings = guards[done].attempt("tagging", alone, [Tagging() for _ in parts])
            yield taggings
            done += 1


def _taken(stream: Iterator[Tagging], number: int) -> list[Tagging]:
    return [next(stream) for _ in range(number)]


def _alone(tagger: Tagger, parts: Sequence[Segment]) -> list[Tagging]:
    return _taken(tagger.tag(parts), len(parts))


def _aligned(
    document: Document, parts: Sequence[Segment], taggings: Sequence[Tagging], min_score: float
) -> Result:
    result = to_result(document, parts, taggings)
    return replace(result, entities=tuple(scoring(result.entities, min_score)))


def _linked(result: Result, linkers: Mapping[str, Index]) -> Result:
    return replace(result, entities=tuple(link(list(result.entities), linkers, result.document.text)))


def _asserted(result: Result, parts: Sequence[Segment], status: AssertionClassifier) -> Result:
    return replace(result, entities=tuple(status.classify(parts, result.entities)))


def scoring(entities: Iterable[Entity], min_score: float) -> list[Entity]:
    """Returns the entities that score at least so much; one without a score stays."""
    return [entity for entity in entities if entity.score is None or entity.score >= min_score]


def link(entities: Sequence[Entity], linkers: Mapping[str, Index], text: str | None = None) -> list[Entity]:
    """Links each entity that has no concept yet to the best one of its own type, given the document."""
    hits: dict[Entity, Hit | None] = {}
    for type_, index in linkers.items():
        unlinked = [entity for entity in entities if entity.link is None and entity.type == type_]
        # One call for all of a type: an index that searches by meaning embeds them as a batch.
        best = index.lookup([entity.text for entity in unlinked], k=1, text=text) if unlinked else []
        hits |= {entity: next(iter(of), None) for entity, of in zip(unlinked, best, strict=True)}
    return [replace(entity, link=hits.get(entity, entity.link)) for entity in entities]


def _pieces(text: str, number: int, as_sentences: bool, language: Language) -> list[Segment]:
    if as_sentences:
        return [Segment(0, text, number)] if text.strip() else []
    return [replace(segment, document=number) for segment in segments(text, language=language)]


def batches(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    """Yields the documents that can be read without waiting, at least one and at most ``size`` at a time.

    A thread reads ahead, so that a slow producer (a pipe that is still being written) never holds back
    documents that are there. What the reader raises is raised here, after all that came before it.
    """
    ready: queue.Queue[Document | BaseException | None] = queue.Queue(maxsize=size)
    stop = threading.Event()

    def put(item: Document | BaseException | None) -> bool:
        # In short waits: a thread that slept on a full queue would outlive a consumer that stopped early.
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for document in documents:
                if not put(document):
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, which raises it
            put(error)

    # A daemon: a read that waits for a pipe cannot be stopped, and must not keep the process alive.
    threading.Thread(target=read, name="dirag-reader", daemon=True).start()
    try:
        yield from _drain(ready, size)
    finally:
        stop.set()


def _drain(ready: queue.Queue[Document | BaseException | None], size: int) -> Iterator[list[Document]]:
    end: BaseException | None = None
    over = False
    while not over:
        batch: list[Document] = []
        item = ready.get()
        while True:
            if isinstance(item, Document):
                batch.append(item)
            else:
                end, over = item, True
            if over or len(batch) == size:
                break
            try:
                item = ready.get_nowait()
            except queue.Empty:
                break
        if batch:
            yield batch
    if end is not None:
        raise end
