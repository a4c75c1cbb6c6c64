"""The token classifier: an encoder with a layer of labels finds the entities, a label a word.

In: segments. Out: the spans of the best valid sequence of labels, each with its probability. A segment that
is longer than the model's context is read in windows that overlap, and its labels are decided over the whole.
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, groupby, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.data import Entity, Segment, Tagging
from dirag.encoders.token_model import TokenModel
from dirag.encoders.token_pieces import Pieces
from dirag.errors import ArtifactError
from dirag.taggers.token_labels import LabelSet, ScoredSpan, restrict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The table of a model's folder from raw probabilities to calibrated ones.
CALIBRATION = "calibration.json"
#: Segments that are computed together: what is held in memory of a document, however long it is.
_BATCH = 512
#: Segments of a document that are read in the same windows, counted from its beginning, so that a document is
#: cut alike in any company.
_CHUNK = 256
#: The part of a window that overlaps the one before it.
_OVERLAP = 4
# In scripts that are written without spaces each character is a word, as tokenizers cut them.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+|[^\w\s]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class CalibrationTable:
    """A table from raw probabilities, ascending, to the share of spans that are right where they are told."""

    raw: tuple[float, ...]
    right: tuple[float, ...]

    def __call__(self, probability: float) -> float:
        import numpy as np

        return float(np.interp(probability, self.raw, self.right))


def read_calibration(folder: Path) -> CalibrationTable | None:
    """Reads the ``calibration.json`` of a model's folder; returns None where there is none.

    It has two lists of numbers from 0 to 1 of one length, ``raw``, ascending, and ``right``.
    """
    path = folder / CALIBRATION
    if not path.is_file():
        return None
    try:
        table = json.loads(path.read_bytes())
        raw, right = (tuple(map(float, table[name])) for name in ("raw", "right"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"cannot read the table in {path}: {error!r}", hint="remove it, or make it again"
        ) from error
    if (
        not raw
        or len(raw) != len(right)
        or any(low > high for low, high in pairwise(raw))
        or not 0 <= min(right) <= max(right) <= 1
    ):
        raise ArtifactError(
            f"{path} has no ascending raw probabilities with a share of right ones for each",
            hint="remove it, or make it again",
        )
    return CalibrationTable(raw, right)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text that can have a label: offsets, and the number of the first piece of each."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    first: list[int] = field(default_factory=list)


def words(text: str, pieces: Pieces) -> Words:
    """Returns the words of a text as its pieces can tell them apart.

    Words that begin in one piece are one word, since they cannot have labels of their own; a word of which
    the tokenizer has no piece (a control character) is left out.
    """
    result, piece, offsets = Words(), 0, pieces.offsets
    for start, end in _word_spans(text):
        while piece < len(offsets) and offsets[piece][1] <= start:
            piece += 1
        if piece == len(offsets):
            break
        if offsets[piece][0] >= end:  # tokenizers drop control characters without a trace
            continue
        # "IL2" is one piece of some tokenizers and two words: a second B of it would cut the mention in two.
        if result.first and result.first[-1] == piece:
            result.spans[-1] = (result.spans[-1][0], end)
        else:
            result.spans.append((start, end))
            result.first.append(piece)
    return result


def _word_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yields runs of letters, digits and their combining marks, and every other character alone."""
    start = end = 0
    joins = False  # whether what comes next goes on with the word at hand
    for match in _WORD.finditer(text):
        char = text[match.start()]
        is_mark = len(match[0]) == 1 and unicodedata.category(char)[0] == "M"
        if match.start() == end and end and (joins or is_mark):
            end = match.end()
        else:
            if end:
                yield start, end
            start, end = match.span()
        joins = is_mark
    if end:
        yield start, end


class TokenClassifier:
    """Tags by the labels of a model; ``types`` maps the types in its labels to those that are wanted.

    Where several mean one type, what a word has of any of them adds up.

    With ``window`` "sentence" each segment is read by itself, with "context" together with as many of the
    segments around it as the model has places for.
    """

    def __init__(
        self,
        model: TokenModel,
        types: Mapping[str, str],
        *,
        window: str = "sentence",
        calibration: CalibrationTable | None = None,
    ) -> None:
        self._model = model
        groups = LabelSet(model.labels).groups(types)
        self._labels, self._groups = LabelSet(tuple(groups)), list(groups.values())
        self._in_context = window == "context"
        self._calibration = calibration

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        for segment, of, spans in self._spans(segments, self._labels.decode):
            entities = self._entities(segment.text, of, spans)
            yield Tagging(tuple(map(self._calibrated, entities)))

    def candidates(self, segments: Iterable[Segment], *, least: float) -> Iterator[list[Entity]]:
        """Yields for each segment every span whose raw probability is at least so much, its score.

        They may overlap.
        """
        for segment, of, spans in self._spans(segments, partial(self._labels.candidates, least=least)):
            yield list(self._entities(segment.text, of, spans))

    def notices(self) -> Sequence[str]:
        """Says that scores are raw where the model's folder has no table that calibrates them."""
        if self._calibration is None:
            return ("scores are the model's own probabilities: its folder has no calibration.json",)
        return ()

    def close(self) -> None:
        """Frees nothing that is not freed with the object."""

    def _spans(
        self,
        segments: Iterable[Segment],
        find: Callable[[Sequence[NDArray[np.float32]]], list[list[ScoredSpan]]],
    ) -> Iterator[tuple[Segment, Words, list[ScoredSpan]]]:
        """Yields the segments with their words and the spans that ``find`` reads off the words' scores."""
        for batch in self._batches(segments):
            texts = [[_SURROGATE.sub("\ufffd", segment.text) for segment in passage] for passage in batch]
            scores = list(self._scores(texts))
            of_texts = find([score for _, score in scores])
            segments_of_batch = (segment for passage in batch for segment in passage)
            for segment, (words_of, _), spans in zip(segments_of_batch, scores, of_texts, strict=True):
                yield segment, words_of, spans

    def _batches(self, segments: Iterable[Segment]) -> Iterator[list[list[Segment]]]:
        """Yields passages of segments that are read together, so many at a time that they hold a batch."""
        batch: list[list[Segment]] = []
        number = 0
        for passage in self._passages(segments):
            batch.append(passage)
            number += len(passage)
            if number >= _BATCH:
                yield batch
                batch, number = [], 0
        if batch:
            yield batch

    def _passages(self, segments: Iterable[Segment]) -> Iterator[list[Segment]]:
        if not self._in_context:
            yield from ([segment] for segment in segments)
            return
        for _, group in groupby(segments, key=lambda segment: segment.document):
            while passage := list(islice(group, _CHUNK)):
                yield passage

    def _scores(self, passages: Sequence[Sequence[str]]) -> Iterator[tuple[Words, NDArray[np.float32]]]:
        """Yields the words of each text of the passages with their scores, of shape (words, labels)."""
        readings = [Passage(texts, self._model) for texts in passages]
        rows = [row for reading in readings for row in reading.rows()]
        scores = self._model.scores(rows)
        for reading in readings:
            for text_words, of_text in reading.merge(scores):
                yield text_words, restrict(of_text[text_words.first], self._groups)

    def _entities(self, text: str, of: Words, spans: Sequence[ScoredSpan]) -> Iterator[Entity]:
        for span in spans:
            start, end = of.spans[span.start][0], of.spans[span.end - 1][1]
            yield Entity(start, end, span.type, text[start:end], span.probability)

    def _calibrated(self, entity: Entity) -> Entity:
        if self._calibration is None or entity.score is None:
            return entity
        return replace(entity, score=self._calibration(entity.score))


class Passage:
    """The pieces of a passage's texts in a row, and the windows in which a model reads them."""

    def __init__(self, texts: Sequence[str], model: TokenModel) -> None:
        # Behind another text a sentence begins with a blank: byte-level tokenizers write it into the piece.
        blanks = [0, *[1] * (len(texts) - 1)]
        pieces = model.tokenizer.pieces(
            [" " * blank + text for blank, text in zip(blanks, texts, strict=True)]
        )
        self._words = [
            words(text, Pieces(each.ids, [(start - blank, end - blank) for start, end in each.offsets]))
            for text, blank, each in zip(texts, blanks, pieces, strict=True)
        ]
        self._ids = [number for each in pieces for number in each.ids]
        self._starts = [0, *accumulate(len(each.ids) for each in pieces)]
        self._labels = len(model.labels)
        # A window ends and begins between sentences where it can, else before a word.
        cuts = self._starts if len(texts) > 1 else self._words[0].first
        self._windows = windows(len(self._ids), model.tokenizer.room, cuts)

    def rows(self) -> Iterator[list[int]]:
        """Yields the pieces of each window."""
        return (self._ids[start:end] for start, end in self._windows)

    def merge(self, scores: Iterator[NDArray[np.float32]]) -> Iterator[tuple[Words, NDArray[np.float32]]]:
        """Takes the scores of each window; yields the words of each text with the scores of its pieces.

        A piece has those of the window in which it is farthest from an edge, of equal ones the first.
        """
        import numpy as np

        merged = np.zeros((len(self._ids), self._labels), np.float32)
        depths = np.full(len(self._ids), -1)
        for start, end in self._windows:
            of_window = next(scores)
            # What lies at an end of the passage is at no edge: there is nothing more to read.
            inward, whole = np.arange(end - start), len(self._ids)
            left = inward if start else inward + whole
            right = inward[::-1] if end < whole else inward + whole
            depth = np.minimum(left, right)
            deeper = depth > depths[start:end]
            merged[start:end][deeper] = of_window[deeper]
            depths[start:end][deeper] = depth[deeper]
        for of_text, start, end in zip(self._words, self._starts, self._starts[1:], strict=False):
            yield of_text, merged[start:end]


def windows(length: int, room: int, cuts: Sequence[int]) -> list[tuple[int, int]]:
    """Returns half-open windows of at most ``room`` pieces that cover all, each overlapping the one before.

    They begin and end at ``cuts``, ascending, where there is one within a quarter of the room.
    """
    result: list[tuple[int, int]] = []
    start = 0
    while length - start > room:
        end = _last_cut(cuts, start + room - room // _OVERLAP, start + room)
        result.append((start, end))
        start = _last_cut(cuts, end - 2 * (room // _OVERLAP), end - room // _OVERLAP)
    if length:
        result.append((start, length))
    return result


def _last_cut(cuts: Sequence[int], low: int, high: int) -> int:
    """Returns the last cut in (low, high], or ``high`` where there is none."""
    at = bisect_right(cuts, high) - 1
    return cuts[at] if at >= 0 and cuts[at] > low else high
