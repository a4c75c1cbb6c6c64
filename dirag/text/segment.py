"""A document's text in, the pieces that are tagged at once out: sentences, headings, list items.

Lines are joined where a paragraph was wrapped and kept apart where they are headings, list items or
entries of their own; sentences are then found by rules for abstracts and clinical notes. A sentence
longer than ``max_chars`` becomes windows that overlap. Nothing but white space is left out. Abbreviations and
words that begin sentences are the language's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from dirag.data import Segment
from dirag.errors import UsageError
from dirag.text.language import Language, SentenceRules, english

#: Lines of a paragraph whose longest is shorter than this were not wrapped by an editor.
_NARROWEST_WRAP = 40

_BULLET = re.compile(r"\s*(?:[-*•·‣◦▪●–—+]\s|\(?(?:[0-9]{1,2}|[A-Za-z]|[ivx]{1,4})\)\s|\([0-9]{1,2}\))")
_NUMBERED = re.compile(r"\s*([0-9]{1,2})\.\s")
# CAPITALS stands for those of the language, in the pattern below too.
_LABEL = r"\s*[CAPITALS][\w/&()'-]*(?: [\w/&()'-]+){0,4} ?:(?:\s|$)"

# Possessive quantifiers and the look-behind keep the alternatives linear on runs of dots or spaces.
# The first two are an upper-case heading inside a line ("... tobacco.  ALLERGIES: none") and a list item
# ("foot.,2.  Fracture": notes that lost their line breaks have commas), the third the end of a sentence.
_BOUNDARY = r"""
    (?P<heading> (?: [.;] \s*+ (?: , \s*+ )? | , ) (?= [CAPITALS] [CAPITALS /&-]{2,40} : [\s,] )
               | [.;:] \s*+ , \s*+ (?= [0-9]{1,2} \. \s ) )
    | (?<= [^\s.!?…<>=] ) (?P<stop> [.!?…]++ ) ["'”’»)\]]*+ (?P<gap> \s++ )
      (?= ["'“‘„«(\[¿¡]*+ (?P<next> [^\W_] [\w-]{0,40} ) )
"""
_LAST_WORD = re.compile(r"""[^\s()\[\],;/"]*\Z""")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,2}\.)+\w{1,3}")


class _SentencePatterns(NamedTuple):
    """What tells labels and the ends of sentences in one language."""

    label: re.Pattern[str]
    boundary: re.Pattern[str]
    rules: SentenceRules


@cache
def _sentence_patterns(language: Language | None) -> _SentencePatterns:
    rules = (language or english()).sentences
    label, boundary = (pattern.replace("CAPITALS", rules.capitals) for pattern in (_LABEL, _BOUNDARY))
    return _SentencePatterns(re.compile(label), re.compile(boundary, re.VERBOSE), rules)


def segments(
    text: str, *, max_chars: int = 800, overlap: int = 100, language: Language | None = None
) -> list[Segment]:
    """Returns the segments of a text, in order; together they hold every character that is not white space.

    A piece without a boundary is cut at white space if there is any, into windows of at most
    ``max_chars``; whatever is at most ``overlap`` characters long lies whole in one of them. Without a
    ``language`` the text is taken for English.
    """
    if not 0 <= overlap <= max_chars // 8 or max_chars < 1:
        raise UsageError(
            f"segments of {max_chars} characters cannot overlap by {overlap}",
            hint="give an overlap of at most an eighth of the length",
        )
    patterns = _sentence_patterns(language)
    return [
        Segment(start, text[start:end])
        for lines in _paragraphs(text)
        for block in _blocks(text, lines, patterns)
        for sentence in _sentences(text, *block, patterns)
        for start, end in _windows(text, *sentence, max_chars=max_chars, overlap=overlap)
    ]


def paragraphs(
    text: str, *, shortest: int = 80, longest: int = 3000, language: Language | None = None
) -> list[Segment]:
    """Returns the paragraphs of a text, in order; each character but white space is in exactly one.

    They are what stands between blank lines. One of less than ``shortest`` characters, such as a heading,
    goes with the next, the last of a text with the one before. One of more than ``longest`` is cut at the
    end of a sentence, so that every segment begins in the paragraph in which it ends. Without a ``language``
    the text is taken for English.
    """
    spans: list[tuple[int, int]] = []
    patterns = _sentence_patterns(language)
    for lines in _paragraphs(text):
        blocks = _blocks(text, lines, patterns)
        pieces = (sentence for block in blocks for sentence in _sentences(text, *block, patterns))
        sentences = [span for piece in pieces for span in _stripped(text, *piece)]
        for ordinal, (start, end) in enumerate(sentences):
            # ordinal 0 begins a block: only what is short goes on over a blank line.
            first, last = spans[-1] if spans else (start, start)
            if spans and (last - first < shortest or (ordinal > 0 and end - first <= longest)):
                spans[-1] = first, end
            else:
                spans.append((start, end))
    # A signature or a date at the end has no paragraph behind it to go with.
    if len(spans) > 1 and spans[-1][1] - spans[-1][0] < shortest:
        _, end = spans.pop()
        spans[-1] = spans[-1][0], end
    return [Segment(start, text[start:end]) for start, end in spans]


def _blocks(
    text: str, lines: list[tuple[int, int]], patterns: _SentencePatterns
) -> Iterator[tuple[int, int]]:
    """Yields the headings, list items and paragraphs of lines, each with the lines it was wrapped into."""
    width = max(end - start for start, end in lines)
    block_start, block_end = lines[0]
    line = text[block_start:block_end]
    number = _item_number(line)
    for start, end in lines[1:]:
        previous, line = line, text[start:end]
        # "1.", or the number after the last one: other line breaks before a number are wraps.
        is_item = _item_number(line) in (1, number + 1)
        if is_item:
            number = _item_number(line)
        if is_item or not _continues(previous, line, width, patterns.label):
            yield block_start, block_end
            block_start = start
        block_end = end
    yield block_start, block_end


def _item_number(line: str) -> int:
    """Returns the number of a list item ("2. Foreign body"), 0 for any other line."""
    match = _NUMBERED.match(line)
    return int(match[1]) if match else 0


def _paragraphs(text: str) -> Iterator[list[tuple[int, int]]]:
    """Yields runs of lines without a blank one between them, each line without the white space at its end."""
    lines: list[tuple[int, int]] = []
    start = 0
    for line in text.splitlines(keepends=True):
        if content := line.rstrip():
            lines.append((start, start + len(content)))
        elif lines:
            yield lines
            lines = []
        start += len(line)
    if lines:
        yield lines


def _continues(line: str, following: str, width: int, label: re.Pattern[str]) -> bool:
    """Tells whether ``following`` goes on with the sentence of ``line``: the break is only a wrap."""
    if _BULLET.match(following) or label.match(following) or line.endswith(":"):
        return False
    if line.isupper() and not following.isupper():
        return False
    word = following.split(maxsplit=1)[0]
    if word[0].islower():
        return True
    return width >= _NARROWEST_WRAP and len(line) + 1 + len(word) > width


def _sentences(text: str, start: int, end: int, patterns: _SentencePatterns) -> Iterator[tuple[int, int]]:
    for match in patterns.boundary.finditer(text, start, end):
        if match["heading"] or _ends_sentence(text, start, match, patterns.rules):
            yield start, match.end()
            start = match.end()
    yield start, end


def _ends_sentence(text: str, start: int, match: re.Match[str], rules: SentenceRules) -> bool:
    following, gap = match["next"], match["gap"]
    # "mRNA levels" and "β-catenin" open a sentence, "fever" does not.
    if following.islower() and not "α" <= following[0] <= "ω":
        return False
    if match["stop"] != ".":
        return True
    # Abbreviations are shorter than this, so a word that is cut here is none.
    word = _last_word(text, max(start, match.start() - 16), match.start("stop"))
    lowered = word.lower()
    if lowered in rules.never_last or word in rules.never_last_in_this_case:
        return False
    if following[0].isdigit() and (
        lowered in rules.before_number or (gap == " " and _is_decimal(word, following))
    ):
        return False
    initial = len(word) == 1 and word.isupper()
    if initial or lowered in rules.seldom_last or _DOTTED.fullmatch(word):
        # An item's own letter or number ("A. Contusion") is no sentence.
        is_item_number = match.start("stop") - len(word) == start
        return not is_item_number and (
            following.lower() in rules.openers or (len(gap) > 1 and "\n" not in gap)
        )
    return not (word.isdigit() and len(word) < 3 and match.start("stop") - len(word) == start)


def _is_decimal(word: str, following: str) -> bool:
    """Tells whether a full stop and a space are a decimal point, as in tokenised corpora: 7. 5 and . 03."""
    return word[-1:].isdigit() or following[0] == "0"


def _last_word(text: str, start: int, end: int) -> str:
    match = _LAST_WORD.search(text, start, end)
    return match[0] if match else ""


def _windows(text: str, start: int, end: int, *, max_chars: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yields the span without white space at its ends, in overlapping windows where it is too long."""
    piece = text[start:end]
    end = start + len(piece.rstrip())
    start += len(piece) - len(piece.lstrip())
    while end - start > max_chars:
        cut = _token_boundary(text, start + max_chars // 2, start + max_chars)
        yield from _stripped(text, start, cut)
        start = _token_boundary(text, cut - 2 * overlap, cut - overlap)
        while text[start].isspace():
            start += 1
    yield from _stripped(text, start, end)


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    if content := piece.strip():
        first = start + len(piece) - len(piece.lstrip())
        yield first, first + len(content)


def _token_boundary(text: str, low: int, high: int) -> int:
    """Returns the last place in (``low``, ``high``] before white space, else before a mark, else ``high``."""
    for ends_token in (str.isspace, _is_mark):
        for place in range(high, low, -1):
            if ends_token(text[place]):
                return place
    return high


def _is_mark(character: str) -> bool:
    return not character.isalnum() and not unicodedata.combining(character)
