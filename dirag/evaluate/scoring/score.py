"""Scores of predicted entities against gold ones, in the schemes of SemEval-2013 task 9 and by token.

In come gold documents and documents whose entities are predictions; out come counts per type and per
document, from which precision, recall and F1 follow in each scheme. Predictions made on another text are
refused. Strict scores equal seqeval's strict IOB2 mode wherever BIO tags can say the entities.

Entities of a document are a set of (start, end, type), nested and overlapping ones like all others; one that
is listed twice counts once. What the data model cannot say (a discontinuous mention) its reader has left out
and reported. Per type, the entities of that type alone are looked at, on both sides.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from dirag.data import Document, Entity
from dirag.errors import InputError
from dirag.evaluate.scoring.concepts import CanonicalId, Linking
from dirag.evaluate.scoring.counts import Counts, SchemeScore, Table
from dirag.evaluate.scoring.status import StatusCounts
from dirag.evaluate.scoring.tally import COLUMNS, tally

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
Match: TypeAlias = tuple[int, Document, Document | None]

_BATCH = 1 << 17  # characters

#: Each scheme with what it takes for correct.
SCHEMES: Mapping[str, str] = {
    "strict": "both ends and the type are right",
    "exact": "both ends are right, whatever the type",
    "partial": "both ends are right, whatever the type; an overlap is worth a half",
    "type": "the type is right, and there is an overlap",
    "token": "the type of a token is right; tokens stand between white space",
}


@dataclass(frozen=True, slots=True)
class Score:
    """The outcome of a scoring: rows of ``tally.COLUMNS``, one a type and one a document, which ``of`` reads.

    ``judged`` has the score of each predicted entity and whether it is correct, as in ``tally.Tally``.
    ``concepts`` holds the schemes of ``concepts.SCHEMES`` where both sides have ids of concepts.
    ``status`` has the counts of its labels, where both sides have any, of what was found with span and type.
    ``missing`` names the gold documents without predictions (scored as if nothing was found in them),
    ``extra`` the predicted documents that are not in the gold standard (not scored); ``ignored`` counts the
    predictions whose type was not asked for (not scored).
    """

    types: Mapping[str, Table]
    documents: Table
    judged: NDArray[np.float64]
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    ignored: int = 0
    concepts: Mapping[str, SchemeScore] = field(default_factory=dict)
    status: Mapping[str, Counts] = field(default_factory=dict)

    def of(self, scheme: str) -> SchemeScore:
        """Returns the score in a scheme of ``SCHEMES``."""
        per_type = {kind: Counts.of(read(row[None], scheme)) for kind, row in self.types.items()}
        return SchemeScore(per_type, read(self.documents, scheme))

    @property
    def micro(self) -> Counts:
        """Returns the strict counts of all entities."""
        return self.of("strict").micro

    @property
    def per_type(self) -> Mapping[str, Counts]:
        """Returns the strict counts of each type."""
        return self.of("strict").per_type


def read(rows: Table, scheme: str) -> Table:
    """Turns rows of ``tally.COLUMNS`` into those of a scheme, columns as the fields of ``Counts``."""
    import numpy as np

    gold, predicted, equal, same_span, overlapping, same_type, other_type, *tokens = rows.T
    none = np.zeros_like(gold)
    columns = {
        "strict": (gold, predicted, equal, same_span + overlapping, none),
        "exact": (gold, predicted, equal + same_span, overlapping, none),
        "partial": (gold, predicted, equal + same_span, none, overlapping),
        "type": (gold, predicted, equal + same_type, other_type, none),
        "token": (*tokens, none, none),
    }
    return np.stack(columns[scheme], axis=1)


def score(
    gold: Iterable[Document],
    predicted: Iterable[Document],
    *,
    types: Collection[str] | None = None,
    canonical_id: CanonicalId | None = str,
    tokens: bool = True,
) -> Score:
    """Scores predictions, matched to gold documents by id and text; ``types`` None scores every type.

    Of documents that come in the same order on both sides nothing is kept but their counts. ``canonical_id``
    leads from the id of a concept to the one by which it is compared; with None, concepts are not compared.
    Without ``tokens`` there is no token scheme. Raises InputError for a document predicted only on
    another text.
    """
    extra: list[str] = []
    total = _Total(types, canonical_id, tokens)
    for batch in _batches(matched(gold, predicted, extra)):
        total.add(batch)
    return total.score(extra)


class _Total:
    """The counts of the documents so far."""

    def __init__(self, types: Collection[str] | None, canonical_id: CanonicalId | None, tokens: bool) -> None:
        self._types, self._tokens = None if types is None else frozenset(types), tokens
        self._linking = None if canonical_id is None else Linking(canonical_id)
        self._status = StatusCounts()
        self._places = array("q")
        self._tables: list[Table] = []
        self._judged: list[NDArray[np.float64]] = []
        self._per_type: dict[str, Table] = {}
        self._missing: list[tuple[int, str]] = []
        self._ignored = 0

    def add(self, batch: Sequence[Match]) -> None:
        import numpy as np

        places, documents, answers = zip(*batch, strict=True)
        self._places.extend(places)
        if None in answers:
            self._missing += [(place, document.id) for place, document, answer in batch if answer is None]
        gold = [document.entities for document in documents]
        predicted = [answer.entities if answer else () for answer in answers]
        texts = [document.text for document in documents]
        counted = tally(texts, gold, predicted, types=self._types, tokens=self._tokens)
        self._tables.append(counted.documents.astype(np.int32))  # half the memory
        self._judged.append(counted.judged)
        self._ignored += counted.ignored
        for kind, row in counted.types.items():
            self._per_type[kind] = self._per_type.get(kind, 0) + row
        for of_gold, of_predicted in zip(gold, predicted, strict=True):
            self._status.add(self._of_types(of_gold), self._of_types(of_predicted))
        if self._linking and any(map(attrgetter("concept"), chain.from_iterable(chain(gold, predicted)))):
            for place, *sides in zip(places, gold, predicted, strict=True):
                self._linking.add(place, *map(self._of_types, sides))

    def score(self, extra: Iterable[str]) -> Score:
        import numpy as np

        documents = np.concatenate([np.zeros((0, len(COLUMNS)), np.int32), *self._tables])
        return Score(
            dict(sorted(self._per_type.items())),
            documents[np.argsort(self._places)],  # those that came late have their place among the others
            np.concatenate([np.zeros((0, 2)), *self._judged]),
            tuple(id for _, id in sorted(self._missing)),
            tuple(extra),
            self._ignored,
            self._linking.scores(len(documents)) if self._linking else {},
            self._status.scores(),
        )

    def _of_types(self, entities: Sequence[Entity]) -> Sequence[Entity]:
        return [entity for entity in entities if self._types is None or entity.type in self._types]


def matched(gold: Iterable[Document], predicted: Iterable[Document], extra: list[str]) -> Iterator[Match]:
    """Yields each gold document with its place and its prediction, as soon as both were read.

    They belong together by id and text; those that share both are matched in order. Gold documents without
    prediction come last; the ids of predictions without gold document are added to ``extra``. Raises
    InputError where a document was predicted on another text only.
    """
    asking: dict[tuple[str, str], list[tuple[int, Document]]] = {}
    waiting: dict[tuple[str, str], list[Document]] = {}
    for place, (document, answer) in enumerate(zip_longest(gold, predicted)):
        # Both sides in one order, the usual case, are not kept: a corpus need not fit into memory.
        as_usual = document and answer and not asking and not waiting
        if as_usual and document.id == answer.id and document.text == answer.text:
            yield place, document, answer
            continue
        if document is not None:
            if (prediction := _take(waiting, document)) is not None:
                yield place, document, prediction
            else:
                asking.setdefault(_key(document), []).append((place, document))
        if answer is not None:
            if (question := _take(asking, answer)) is not None:
                yield *question, answer
            else:
                waiting.setdefault(_key(answer), []).append(answer)
    lengths = {id: len(text) for id, text in waiting}
    for (id, text), unanswered in asking.items():
        if id in lengths:
            raise InputError(
                f"the predictions for document {id!r} were made on another text than the gold standard's "
                f"({lengths[id]} characters, not {len(text)})",
                hint="predict on the text of the dataset as dirag reads it",
            )
        yield from ((place, document, None) for place, document in unanswered)
    extra += [id for (id, _), answers in waiting.items() for _ in answers]


def _key(document: Document) -> tuple[str, str]:
    return document.id, document.text


def _take(waiting: dict[tuple[str, str], list[T]], document: Document) -> T | None:
    """Removes and returns the first of what waits for a document; None where nothing does."""
    key = _key(document)
    if key not in waiting:
        return None
    first, *others = waiting.pop(key)
    if others:
        waiting[key] = others
    return first


def _batches(matches: Iterable[Match]) -> Iterator[list[Match]]:
    """Yields the matches, as many at a time as have ``_BATCH`` characters together."""
    batch: list[Match] = []
    size = 0
    for match in matches:
        batch.append(match)
        size += len(match[1].text) + 1
        if size > _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
