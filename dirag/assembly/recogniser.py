"""The whole product in one object: documents in, results with linked entities out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any

from dirag import pipeline
from dirag.assembly import sources, tagging
from dirag.config import Config, configure
from dirag.data import Document, Result
from dirag.knowledge.base import KnowledgeBase


class EntityRecogniser:
    """The tagger that a ``Config`` describes, with the knowledge base that its entities are linked to.

    A context manager; ``close`` frees the model and the knowledge base.
    """

    def __init__(self, config: Config, *, base: KnowledgeBase | None) -> None:
        self.config, self.base = config, base
        self.types = sources.types_of(config)
        self._tagger = tagging.tagger(config, self.types, base=base)
        self._linkers = base.linkers_for(self.types) if base else None
        self._status = tagging.assertion_classifier(config, base)

    def tag(self, documents: Iterable[Document | str]) -> Iterator[Result]:
        """Yields the result of each document, in order, as soon as it is done.

        A string is a document whose id is its number, from 1. What goes wrong with one document is an issue
        of its result; DiragError is raised for what ends the run, such as a server that cannot be reached.
        """
        numbered = (
            Document(str(number), document) if isinstance(document, str) else document
            for number, document in enumerate(documents, start=1)
        )
        yield from pipeline.tag(
            numbered,
            self._tagger,
            linkers=self._linkers,
            status=self._status,
            min_score=self.config.min_score,
            language=sources.language(self.base),
        )

    def notices(self) -> Sequence[str]:
        """Returns what the engine has to say of the run as a whole, a sentence each."""
        return self._tagger.notices()

    def close(self) -> None:
        """Frees the model and the knowledge base; nothing can be tagged afterwards."""
        self._tagger.close()
        if self.base is not None:
            self.base.close()

    def __enter__(self) -> EntityRecogniser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open(**options: Any) -> EntityRecogniser:
    """Opens the recogniser that these options describe: those of the command line, with underscores.

    ``dirag.open(types=["disease"], model="weights.gguf", kb="none")``; what is not named has the value that
    ``dirag tag`` would give it. Raises UsageError for an option or a value that there is not.
    """
    config = configure(**options)
    return EntityRecogniser(config, base=sources.knowledge_base(config))
