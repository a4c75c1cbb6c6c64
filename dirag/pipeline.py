"""The whole flow: documents -> segments -> taggings -> results, streaming, in input order.

``tag`` is the only place that knows the order of the stages. Memory is bounded by one batch of documents;
a result leaves as soon as the last segment of its document is tagged.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, count

from dirag.data import Document, Entity, Result, Segment
from dirag.protocols import Index, Tagger
from dirag.text.align import to_result
from dirag.text.segment import segments

BATCH = 512


def tag(
    documents: Iterable[Document],
    tagger: Tagger,
    *,
    index: Index | None = None,
    min_score: float = 0.0,
    as_sentences: bool = False,
) -> Iterator[Result]:
    """The result of each document, in order.

    ``index`` links the entities to concepts. Entities that score less than ``min_score`` are left out, last
    of all, so that no others take their place; one without a score stays. ``as_sentences`` takes each
    document as one segment (a corpus that comes as sentences). A document without text is passed on with the
    issues that it came with.
    """
    numbers = count()
    for batch in batches(documents, BATCH):
        pieces = [_pieces(document.text, next(numbers), as_sentences) for document in batch]
        taggings = tagger.tag(chain.from_iterable(pieces))
        for document, parts in zip(batch, pieces, strict=True):
            result = to_result(document, parts, [next(taggings) for _ in parts])
            kept = scoring(result.entities, min_score)
            yield replace(result, entities=tuple(link(kept, index, document.text) if index else kept))


def scoring(entities: Iterable[Entity], min_score: float) -> list[Entity]:
    """The entities that score at least so much; one without a score stays."""
    return [entity for entity in entities if entity.score is None or entity.score >= min_score]


def link(entities: list[Entity], index: Index, text: str | None = None) -> list[Entity]:
    """The entities with the best concept for each that has none yet, given the document's text."""
    unlinked = [entity.text for entity in entities if entity.link is None]
    found = iter(index.lookup(unlinked, k=1, text=text)) if unlinked else iter(())
    return [
        entity if entity.link is not None else replace(entity, link=next(iter(next(found)), None))
        for entity in entities
    ]


def _pieces(text: str, number: int, as_sentences: bool) -> list[Segment]:
    if as_sentences:
        return [Segment(0, text, number)] if text.strip() else []
    return [replace(segment, document=number) for segment in segments(text)]


def batches(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    """What can be read without waiting, at least one and at most ``size`` documents at a time.

    A thread reads ahead, so that a slow producer (a pipe that is still being written) never holds back
    documents that are there. What the reader raises is raised here, after all that came before it.
    """
    ready: queue.Queue[Document | BaseException | None] = queue.Queue(maxsize=size)
    stop = threading.Event()

    def put(item: Document | BaseException | None) -> bool:
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
