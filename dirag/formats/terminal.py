"""A result for eyes: the text with its mentions marked, a table of them, and what went wrong.

Notes are untrusted: control and direction-changing characters are shown as visible signs, so that no
text can move the cursor, rename the window or reorder a line. The records themselves are untouched.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence

from dirag.data import Entity, Issue, Result

_COLOURS = (31, 32, 33, 34, 35, 36, 91, 92, 94, 95)
_RESET = "\x1b[0m"
_HEADER = ("type", "mention", "offsets", "status", "concept", "name", "score")
_JOINERS = "\u200c\u200d"  # parts of emoji and of several scripts, harmless
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def render(result: Result, *, colour: bool, width: int) -> str:
    """Returns the view of one result, ending in a line feed. Without colour, mentions stand in brackets."""
    parts = [_bold(_safe(result.document.id), colour=colour)]
    if result.document.text.strip():
        parts.append(_marked_text(result.document.text, result.entities, colour=colour, width=width))
    if result.entities:
        parts.append(_table(result.entities, colour=colour, width=width))
    if result.issues:
        parts.append("\n".join(_issue_line(issue, colour=colour) for issue in result.issues))
    return "\n\n".join(parts) + "\n"


def _safe(text: str, *, keep: str = "") -> str:
    """Returns the text with every character that a terminal could act upon made visible."""
    return "".join(
        c if c in keep or c in _JOINERS or unicodedata.category(c) not in _UNSAFE else _sign(c) for c in text
    )


def _sign(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)  # the Unicode control pictures
    return "\u2421" if code == 0x7F else f"<U+{code:04X}>"


def _marked_text(text: str, entities: Sequence[Entity], *, colour: bool, width: int) -> str:
    pieces: list[tuple[str, str]] = []  # text and style
    position = 0
    for entity in _outermost(entities):
        style = _style(entity.type) if colour else ""
        pieces.append((_body(text[position : entity.start]), ""))
        mention = _safe(" ".join(entity.text.splitlines()))
        pieces.append((mention if colour else f"[{mention}|{_safe(entity.type)}]", style))
        position = entity.end
    pieces.append((_body(text[position:]), ""))
    return _wrapped(pieces, width).strip("\n")


def _body(text: str) -> str:
    return _safe(text.replace("\r\n", "\n").expandtabs(4), keep="\n")


def _outermost(entities: Sequence[Entity]) -> Iterator[Entity]:
    """Yields mentions that can be marked side by side: where they overlap, the first and longest."""
    # Not align.longest: what is written from left to right gives the place to what begins first.
    end = 0
    for entity in sorted(entities, key=lambda e: (e.start, -e.end)):
        if entity.start >= end:
            yield entity
            end = entity.end


def _wrapped(pieces: Sequence[tuple[str, str]], width: int) -> str:
    """Fills lines of at most ``width`` columns where words allow it; styles take no columns."""
    out: list[str] = []
    column = 0
    gap = ""  # written only when a word follows on the same line
    for text, style in pieces:
        for word in re.findall(r"\n| +|[^ \n]+", text):
            if word == "\n":
                out.append(word)
                column, gap = 0, ""
            elif word[0] == " ":
                gap = word
            elif column and column + len(gap) + len(word) > width:
                out += ["\n", _styled(word, style)]
                column, gap = len(word), ""
            else:
                out += [gap, _styled(word, style)]
                column, gap = column + len(gap) + len(word), ""
    return "".join(out)


def _table(entities: Sequence[Entity], *, colour: bool, width: int) -> str:
    rows = [_HEADER, *map(_row, entities)]
    shown = [i for i in range(len(_HEADER)) if i < 3 or any(row[i] for row in rows[1:])]
    widths = {i: max(len(row[i]) for row in rows) for i in shown}
    # The mention and the concept's name give way where the screen is narrow.
    for i in (5, 1):
        excess = sum(widths.values()) + 2 * (len(widths) - 1) - width
        if i in widths and excess > 0:
            widths[i] = max(12, widths[i] - excess)
    lines = []
    for row in rows:
        cells = [_fitted(row[i], widths[i]) for i in shown]
        if row is _HEADER:
            lines.append(_bold("  ".join(cells).rstrip(), colour=colour))
        else:
            type_cell = _styled(cells[0], _style(row[0])) if colour else cells[0]
            lines.append("  ".join([type_cell, *cells[1:]]).rstrip())
    return "\n".join(lines)


def _row(entity: Entity) -> tuple[str, ...]:
    concept = entity.concept
    return (
        _safe(entity.type),
        _safe(" ".join(entity.text.split())),
        f"{entity.start}-{entity.end}",
        ", ".join(entity.status or ()),
        _safe(concept.id) if concept else "",
        _safe(concept.name) if concept else "",
        "" if entity.score is None else f"{entity.score:.2f}",
    )


def _fitted(cell: str, width: int) -> str:
    return cell.ljust(width) if len(cell) <= width else cell[: width - 1] + "…"


def _issue_line(issue: Issue, *, colour: bool) -> str:
    line = f"{issue.code}  {_safe(issue.where)}" + (f"  {_safe(issue.detail)}" if issue.detail else "")
    return _styled(f"! {line}", "33") if colour else f"! {line}"


def _style(type_: str) -> str:
    # Hashed, so that a type keeps its colour from document to document.
    return f"1;{_COLOURS[zlib.crc32(type_.encode('utf-8', 'replace')) % len(_COLOURS)]}"


def _bold(text: str, *, colour: bool) -> str:
    return _styled(text, "1") if colour else text


def _styled(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}{_RESET}" if style and text.strip() else text
