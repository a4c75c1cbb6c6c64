"""The exact alignment of a text and its edited copy: pieces of the old one, in the order of the new one.

A span of the old text is found in the copy without a search, however often its words stand there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A part of the old text, and what stands for it in the new one: itself where ``new`` is None."""

    start: int
    end: int
    new: str | None = None


@dataclass(frozen=True, slots=True)
class Alignment:
    """The pieces of a new text in its order; together they are the whole old text, no part of it twice."""

    pieces: tuple[TextPiece, ...]

    @classmethod
    def of(cls, text: str, parts: Iterable[TextPiece]) -> Alignment:
        """Aligns parts of a text with what lies between; one that overlaps a part before it is left out."""
        pieces, at = [], 0
        for part in sorted(parts, key=lambda part: part.start):
            if part.start >= at:
                pieces += [TextPiece(at, part.start), part] if part.start > at else [part]
                at = part.end
        return cls((*pieces, TextPiece(at, len(text))) if at < len(text) else tuple(pieces))

    def apply(self, text: str) -> str:
        """Returns the new text."""
        return "".join(text[p.start : p.end] if p.new is None else p.new for p in self.pieces)

    def span(self, start: int, end: int) -> Span | None:
        """Returns where a span is in the new text; None where it cuts an edit or is in pieces now."""
        parts = []
        for piece, at in self._placed():
            low, high = max(start, piece.start), min(end, piece.end)
            if low >= high:
                continue
            if piece.new is None:
                parts.append((at + low - piece.start, at + high - piece.start))
            elif (low, high) == (piece.start, piece.end):
                parts.append((at, at + len(piece.new)))
            else:
                return None  # half of a replaced word has no place in the other one
        if any(one[1] != other[0] for one, other in pairwise(parts)):
            return None
        return (parts[0][0], parts[-1][1]) if parts else None

    def _placed(self) -> Iterator[tuple[TextPiece, int]]:
        """Yields each piece with its offset in the new text."""
        at = 0
        for piece in self.pieces:
            yield piece, at
            at += piece.end - piece.start if piece.new is None else len(piece.new)
