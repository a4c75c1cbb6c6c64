"""Perturbed copies of annotated documents: edits that keep the meaning, and edits that change it.

In comes a document with its gold entities; out comes, for a kind of edit that finds a place in it, a copy
with its gold entities and the exact alignment of both texts. The same document, kind and seed give the same
copy. An edit that would cut a gold entity is not made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import TypeAlias

from dirag.data import Document, Entity
from dirag.evaluate.robustness.alignment import Alignment, TextPiece
from dirag.evaluate.robustness.names import WORD, ConceptNames
from dirag.text import abbreviations
from dirag.text.language import Language
from dirag.text.normalise import normaliser
from dirag.text.segment import segments

_SPACE = re.compile(r"(?<=\w) (?=\w)")
_HYPHENS = "\u2010\u2011\u2013"
_LIGATURES = {"ffi": "ﬃ", "ffl": "ﬄ", "ff": "ﬀ", "fi": "ﬁ", "fl": "ﬂ"}
_QUOTES = {"'": "’", "’": "'", "“": '"', "”": '"'}
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*\s*$")


@cache
def _signs(language: Language) -> tuple[re.Pattern[str], dict[str, str]]:
    """Returns what matches the signs that are written otherwise, and what some of them become."""
    greek = language.words.greek
    letters = {name: letter for letter, name in greek.items() if len(name) > 3}  # not "pi", "mu"
    parts = [rf"[-\"{''.join(_QUOTES)}]", *_LIGATURES]
    parts += [rf"{letter}(?![^\W\d_])" for letter in greek]  # the one in μg is no letter's name
    parts += [rf"(?<![^\W_]){re.escape(name)}(?![^\W_])" for name in letters]
    return re.compile("|".join(parts)), {**greek, **letters, **_QUOTES, **_LIGATURES}


@dataclass(frozen=True, slots=True)
class Perturbed:
    """A document and its copy; ``replaced`` are those entities of ``before`` whose meaning was changed."""

    kind: str
    before: Document
    after: Document
    alignment: Alignment
    replaced: tuple[Entity, ...] = ()


def perturb(document: Document, kind: str, names: ConceptNames, *, seed: int = 0) -> Perturbed | None:
    """Returns the copy of a document with one kind of edit wherever it fits.

    Returns None where it fits nowhere, or would leave an entity in more than one piece.
    """
    # Seeded by the text, not by a stream: another document more or less changes no copy of the others.
    alignment = _MAKERS[kind](document, names, Random(f"{seed} {kind} {document.text}"))
    text = alignment.apply(document.text)
    if text == document.text:
        return None
    edited = {(piece.start, piece.end) for piece in alignment.pieces if piece.new is not None}
    replaced = [e for e in document.entities if kind in CHANGING and (e.start, e.end) in edited]
    carried = []
    for entity in document.entities:
        span = alignment.span(entity.start, entity.end)
        if span is None:
            return None
        gone = entity in replaced
        if not (gone and kind == "non-entity"):
            hit = None if gone or not entity.link else replace(entity.link, start=span[0], end=span[1])
            carried.append(Entity(*span, entity.type, text[slice(*span)], entity.score, hit))
    carried.sort(key=lambda entity: (entity.start, entity.end))
    after = replace(document, id=f"{document.id}:{kind}", text=text, entities=tuple(carried))
    return Perturbed(kind, document, after, alignment, tuple(replaced))


def _case(document: Document, names: ConceptNames, random: Random) -> Alignment:
    """Writes words in capitals, in small letters or with a capital, but those whose case has a meaning."""
    style = random.choice((str.upper, str.lower, str.capitalize))
    edits = []
    for match in WORD.finditer(document.text):
        word, new = match[0], style(match[0])
        if word[1:] == word[1:].lower() and len(new) == len(word) and new.casefold() == word.casefold():
            letters = enumerate(zip(word, new, strict=True), start=match.start())
            edits += [_piece(i, old, other) for i, (old, other) in letters if old != other]
    return Alignment.of(document.text, edits)


def _whitespace(document: Document, names: ConceptNames, random: Random) -> Alignment:
    """Makes of a quarter of the single spaces two, one that does not break, or a line break."""
    places = [match.start() for match in _SPACE.finditer(document.text)]
    drawn = random.sample(places, -(-len(places) // 4))
    return Alignment.of(
        document.text, [_piece(at, " ", random.choice(("  ", "\u00a0", "\n"))) for at in drawn]
    )


def _typography(document: Document, names: ConceptNames, random: Random) -> Alignment:
    """Writes other hyphens, quotes and ligatures, Greek letters by their names, and names as letters."""
    hyphen, text = random.choice(_HYPHENS), document.text
    # An edit across the end of a mention would leave the copy's gold offsets undefined.
    cuts = {offset for entity in document.entities for offset in (entity.start, entity.end)}
    edits = []
    pattern, others = _signs(names.language)
    for match in pattern.finditer(text):
        start, end = match.span()
        if cuts.isdisjoint(range(start + 1, end)):
            opens = start == 0 or text[start - 1].isspace()
            table = {**others, "-": hyphen, '"': "“" if opens else "”"}
            edits.append(_piece(start, match[0], table[match[0]]))
    return Alignment.of(text, edits)


def _synonym(document: Document, names: ConceptNames, random: Random) -> Alignment:
    return _replaced(document, names, random, names.same)


def _concept(document: Document, names: ConceptNames, random: Random) -> Alignment:
    key = normaliser(names.language).key
    there = {key(entity.text) for entity in document.entities}
    return _replaced(document, names, random, lambda entity: names.other(entity, there))


def _non_entity(document: Document, names: ConceptNames, random: Random) -> Alignment:
    return _replaced(document, names, random, lambda entity: names.language.names.phrases)


def _replaced(
    document: Document, names: ConceptNames, random: Random, choices: Callable[[Entity], Sequence[str]]
) -> Alignment:
    """Puts another text for mentions: one text for all that read alike, and no text for two that do not.

    Not edited: mentions in the definition of an abbreviation, within a word, and with others inside.
    """
    defined = [
        span
        for pair in abbreviations.find(document.text, names.language)
        for span in ((pair.start, pair.end), (pair.long_start, pair.long_end))
    ]
    drawn: dict[tuple[str, str], str] = {}
    edits = []
    for entity in _alone(document):
        if not _is_bounded(document.text, entity) or any(_overlap(entity, *span) for span in defined):
            continue
        mention = entity.type, entity.text
        if mention not in drawn:
            free = [name for name in choices(entity) if name not in drawn.values()]
            if not free:
                continue
            drawn[mention] = random.choice(free)
        edits.append(_named(document.text, entity.start, entity.end, drawn[mention], names))
    return Alignment.of(document.text, edits)


def _abbreviation(document: Document, names: ConceptNames, random: Random) -> Alignment:
    """Exchanges short and long forms after a definition, and turns the definition itself round.

    A definition counts where both forms are gold mentions of one type.
    """
    gold = {(entity.start, entity.end): entity.type for entity in _alone(document)}
    forms: dict[str, str] = {}
    parts, turned, first = [], [], len(document.text)
    for pair in abbreviations.find(document.text, names.language):
        short, long = (pair.start, pair.end), (pair.long_start, pair.long_end)
        if short in gold and gold[short] == gold.get(long):
            forms |= {pair.short: pair.long, pair.long: pair.short}
            # Before its first definition a short form may stand for something else.
            first = min(first, max(pair.end, pair.long_end))
            parts += [TextPiece(*short), TextPiece(*long)]
            turned.append((TextPiece(*short), TextPiece(*long)))
    parts += [
        _named(document.text, *span, forms[text], names)
        for span in gold
        if span[0] >= first
        and (text := document.text[slice(*span)]) in forms
        and TextPiece(*span) not in parts
    ]
    pieces = list(Alignment.of(document.text, parts).pieces)
    for one, other in turned:
        if one in pieces and other in pieces:
            i, j = pieces.index(one), pieces.index(other)
            pieces[i], pieces[j] = other, one
    return Alignment(tuple(pieces))


def _order(document: Document, names: ConceptNames, random: Random) -> Alignment:
    """Puts the sentences that stand on one line in another order."""
    text = document.text
    runs: list[list[TextPiece]] = [[]]
    for segment in segments(text, max_chars=max(len(text), 1), overlap=0, language=names.language):
        last = runs[-1][-1].end if runs[-1] else 0
        if any(e.start < segment.start and e.end > last for e in document.entities) and runs[-1]:
            runs[-1][-1] = TextPiece(runs[-1][-1].start, segment.end)  # an entity runs across both
        elif not _SENTENCE_END.search(segment.text):  # a heading or a row of a table stays where it is
            runs.append([])
        elif "\n" in text[last : segment.start]:
            runs.append([TextPiece(segment.start, segment.end)])
        else:
            runs[-1].append(TextPiece(segment.start, segment.end))
    pieces = list(Alignment.of(text, [piece for run in runs for piece in run]).pieces)
    for run in runs:
        places = [pieces.index(piece) for piece in run]
        # A draw that leaves the order as it is would be no edit: the order is reversed then.
        shuffled = random.sample(run, len(run))
        for place, piece in zip(places, run[::-1] if shuffled == run else shuffled, strict=True):
            pieces[place] = piece
    return Alignment(tuple(pieces))


def _piece(at: int, old: str, new: str) -> TextPiece:
    return TextPiece(at, at + len(old), new)


def _named(text: str, start: int, end: int, name: str, names: ConceptNames) -> TextPiece:
    """Returns the piece with a name in place of what is there, with a capital where a sentence begins."""
    new, ahead = names.running(name), text[:start]
    opens = not ahead.strip() or _SENTENCE_END.search(ahead)
    return TextPiece(start, end, new[0].upper() + new[1:] if opens else new)


def _alone(document: Document) -> list[Entity]:
    """Returns the entities that overlap no other: what stands for one may not cut another."""
    return [
        entity
        for entity in document.entities
        if sum(_overlap(entity, other.start, other.end) for other in document.entities) == 1
    ]


def _overlap(entity: Entity, start: int, end: int) -> bool:
    return entity.start < end and start < entity.end


def _is_bounded(text: str, entity: Entity) -> bool:
    """Tells whether no letter, digit or hyphen touches a mention."""
    around = text[max(entity.start - 1, 0) : entity.start] + text[entity.end : entity.end + 1]
    return not any(character.isalnum() or character in "-_" for character in around)


_Maker: TypeAlias = Callable[[Document, ConceptNames, Random], Alignment]
_KEEPING: dict[str, _Maker] = {
    "case": _case,
    "whitespace": _whitespace,
    "typography": _typography,
    "synonym": _synonym,
    "abbreviation": _abbreviation,
    "order": _order,
}
_CHANGING: dict[str, _Maker] = {"concept": _concept, "non-entity": _non_entity}
_MAKERS = _KEEPING | _CHANGING

#: The kinds of edit after which the same should be found, and those after which something else should.
KEEPING, CHANGING = tuple(_KEEPING), tuple(_CHANGING)
KINDS = (*KEEPING, *CHANGING)
