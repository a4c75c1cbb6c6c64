"""The whole flow: documents -> segments -> taggings -> results, streaming, in input order.

``tag`` is the only place that knows the order of the stages. Memory is bounded by one batch of documents;
a result leaves as soon as the last segment of its document is tagged.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from itertools import chain

from dirag.align import to_document
from dirag.data import Document, Result, Usage
from dirag.protocols import Tagger
from dirag.segment import segments

BATCH = 64


def tag(documents: Iterable[Document], tagger: Tagger, *, whole: bool = False) -> Iterator[Result]:
    """The result of each document, in order.

    ``whole`` takes each document as one segment (a corpus that comes as sentences). A document without text
    is passed on with the issues that it came with.
    """
    for batch in batches(documents, BATCH):
        pieces = [segments(document.text, whole=whole) for document in batch]
        taggings = tagger.tag(chain.from_iterable(pieces))
        for document, parts in zip(batch, pieces, strict=True):
            done = [next(taggings) for _ in parts]
            entities, issues = to_document(document.text, parts, done)
            usage = sum((tagging.usage for tagging in done), Usage())
            yield Result(document, entities, document.issues + issues, usage)


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
