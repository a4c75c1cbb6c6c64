"""Perturbed copies of annotated documents: edits that keep the meaning, and edits that change it.

In comes a document with its gold entities; out comes, for a kind of edit that finds a place in it, a copy
with its gold entities and the exact alignment of both texts. The same document, kind and seed give the same
copy. An edit that would cut a gold entity is not made. Phrases are English.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from typing import TypeAlias

from dirag.data import Concept, Document, Entity
from dirag.protocols import Index
from dirag.text import abbreviations, normalise
from dirag.text.segment import segments

Span: TypeAlias = tuple[int, int]
Key: TypeAlias = tuple[str, ...]  # of normalise.key

#: What no one takes for an entity, to stand where one stood.
PHRASES = (
    *("annual meeting", "previous report", "first author", "written reply", "second year", "public library"),
    *("train station", "front page", "summer holiday", "open question", "local newspaper", "main road"),
)
_LONGEST = 6  # words of a name that may stand in a sentence

_WORD = re.compile(r"[^\W\d_]{2,}")
_SPACE = re.compile(r"(?<=\w) (?=\w)")
_HYPHENS = "\u2010\u2011\u2013"
_LIGATURES = {"ffi": "ﬃ", "ffl": "ﬄ", "ff": "ﬀ", "fi": "ﬁ", "fl": "ﬂ"}
_QUOTES = {"'": "’", "’": "'", "“": '"', "”": '"'}
_LETTERS = {name: letter for letter, name in normalise.GREEK.items() if len(name) > 3}  # not "pi", "mu"
_SIGNS = re.compile(
    rf"[-\"{''.join(_QUOTES)}]|{'|'.join(_LIGATURES)}"
    rf"|[{''.join(normalise.GREEK)}](?![^\W\d_])"  # the one in μg is no letter's name
    rf"|(?<![^\W_])(?:{'|'.join(_LETTERS)})(?![^\W_])"
)
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*\s*$")


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
        """The parts in the text's own order, with what lies between; none that overlaps one before it."""
        pieces, at = [], 0
        for part in sorted(parts, key=lambda part: part.start):
            if part.start >= at:
                pieces += [TextPiece(at, part.start), part] if part.start > at else [part]
                at = part.end
        return cls((*pieces, TextPiece(at, len(text))) if at < len(text) else tuple(pieces))

    def apply(self, text: str) -> str:
        """The new text."""
        return "".join(text[p.start : p.end] if p.new is None else p.new for p in self.pieces)

    def span(self, start: int, end: int) -> Span | None:
        """Where a span stands in the new text; None where it cuts an edit or is no longer in one piece."""
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
                return None
        if any(one[1] != other[0] for one, other in pairwise(parts)):
            return None
        return (parts[0][0], parts[-1][1]) if parts else None

    def _placed(self) -> Iterator[tuple[TextPiece, int]]:
        """Each piece with its offset in the new text."""
        at = 0
        for piece in self.pieces:
            yield piece, at
            at += piece.end - piece.start if piece.new is None else len(piece.new)


@dataclass(frozen=True, slots=True)
class Perturbed:
    """A document and its copy; ``replaced`` are those entities of ``before`` whose meaning was changed."""

    kind: str
    before: Document
    after: Document
    alignment: Alignment
    replaced: tuple[Entity, ...] = ()


class ConceptNames:
    """The names in a knowledge base of what gold mentions mean, as far as an exact look-up tells.

    ``indexes`` holds, by entity type, the index of the concepts that can be of it.
    """

    def __init__(self, indexes: Mapping[str, Index], documents: Iterable[Document]) -> None:
        mentions: dict[str, dict[str, None]] = defaultdict(dict)  # in the order of the documents
        self._words: set[str] = set()
        for document in documents:
            self._words.update(_WORD.findall(document.text))
            for entity in document.entities:
                if not normalise.is_acronym(entity.text):  # by itself it may mean anything
                    mentions[entity.type][entity.text] = None
        self._meant: dict[tuple[str, str], Concept] = {}
        self._concepts: dict[str, dict[str, tuple[str, Key]]] = defaultdict(dict)  # a name of each
        for kind, index in indexes.items():
            texts = list(mentions[kind])
            for text, hits in zip(texts, index.lookup(texts, k=1), strict=True):
                for hit in hits:
                    self._meant[kind, text] = hit.concept
                    for name in _running(hit.concept)[:1]:
                        self._concepts[kind][hit.concept.id] = name, normalise.key(name)

    def same(self, entity: Entity) -> list[str]:
        """Other names of the concept of a mention, those aside that differ in spelling alone."""
        concept = self._meant.get((entity.type, entity.text))
        names = _running(concept) if concept else []
        return [name for name in names if normalise.key(name) != normalise.key(entity.text)]

    def other(self, entity: Entity, there: Collection[Key]) -> list[str]:
        """A name of each other concept of this type that a mention means, but those that are ``there``."""
        own = self._meant.get((entity.type, entity.text))
        names = (entity.text, own.name, *own.synonyms) if own else (entity.text,)
        refused = {*there, *map(normalise.key, names)}
        return [name for name, key in self._concepts[entity.type].values() if key not in refused]

    def running(self, name: str) -> str:
        """The name as inside a sentence: a capital is kept where the documents write the word so only."""
        first = _WORD.match(name)
        if first is None or first[0][1:] != first[0][1:].lower():
            return name
        is_proper = first[0] in self._words and first[0].lower() not in self._words
        return name if is_proper else name[0].lower() + name[1:]


def perturb(document: Document, kind: str, names: ConceptNames, *, seed: int = 0) -> Perturbed | None:
    """The copy of a document with one kind of edit wherever it fits.

    None where it fits nowhere, or would leave an entity in more than one piece.
    """
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
    """All words in capitals, in small letters or with a capital; not those whose case means something."""
    style = random.choice((str.upper, str.lower, str.capitalize))
    edits = []
    for match in _WORD.finditer(document.text):
        word, new = match[0], style(match[0])
        if word[1:] == word[1:].lower() and len(new) == len(word) and new.casefold() == word.casefold():
            letters = enumerate(zip(word, new, strict=True), start=match.start())
            edits += [_piece(i, old, other) for i, (old, other) in letters if old != other]
    return Alignment.of(document.text, edits)


def _whitespace(document: Document, names: ConceptNames, random: Random) -> Alignment:
    """A quarter of the single spaces becomes two, one that does not break, or a line break."""
    places = [match.start() for match in _SPACE.finditer(document.text)]
    drawn = random.sample(places, -(-len(places) // 4))
    return Alignment.of(
        document.text, [_piece(at, " ", random.choice(("  ", "\u00a0", "\n"))) for at in drawn]
    )


def _typography(document: Document, names: ConceptNames, random: Random) -> Alignment:
    """Other hyphens, quotes and ligatures; Greek letters by their names, and names as letters."""
    hyphen, text = random.choice(_HYPHENS), document.text
    cuts = {offset for entity in document.entities for offset in (entity.start, entity.end)}
    edits = []
    for match in _SIGNS.finditer(text):
        start, end = match.span()
        if cuts.isdisjoint(range(start + 1, end)):
            opens = start == 0 or text[start - 1].isspace()
            table = {"-": hyphen, '"': "“" if opens else "”", **_QUOTES, **_LIGATURES}
            edits.append(_piece(start, match[0], {**normalise.GREEK, **_LETTERS, **table}[match[0]]))
    return Alignment.of(text, edits)


def _synonym(document: Document, names: ConceptNames, random: Random) -> Alignment:
    return _replaced(document, names, random, names.same)


def _concept(document: Document, names: ConceptNames, random: Random) -> Alignment:
    there = {normalise.key(entity.text) for entity in document.entities}
    return _replaced(document, names, random, lambda entity: names.other(entity, there))


def _non_entity(document: Document, names: ConceptNames, random: Random) -> Alignment:
    return _replaced(document, names, random, lambda entity: PHRASES)


def _replaced(
    document: Document, names: ConceptNames, random: Random, choices: Callable[[Entity], Sequence[str]]
) -> Alignment:
    """Mentions with another text, the same for each mention that reads the same, no text for two others.

    Left as they are: mentions in the definition of an abbreviation, within a word, and with others inside.
    """
    defined = [
        span
        for pair in abbreviations.find(document.text)
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
    """Short forms for long ones and long for short, after a definition; the definition is turned round.

    A definition counts where both forms are gold mentions of one type.
    """
    gold = {(entity.start, entity.end): entity.type for entity in _alone(document)}
    forms: dict[str, str] = {}
    parts, turned, first = [], [], len(document.text)
    for pair in abbreviations.find(document.text):
        short, long = (pair.start, pair.end), (pair.long_start, pair.long_end)
        if short in gold and gold[short] == gold.get(long):
            forms |= {pair.short: pair.long, pair.long: pair.short}
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
    """The sentences that stand on one line in another order."""
    text = document.text
    runs: list[list[TextPiece]] = [[]]
    for segment in segments(text, max_chars=max(len(text), 1), overlap=0):
        last = runs[-1][-1].end if runs[-1] else 0
        if any(e.start < segment.start and e.end > last for e in document.entities) and runs[-1]:
            runs[-1][-1] = TextPiece(runs[-1][-1].start, segment.end)  # an entity runs across both
        elif not _SENTENCE_END.search(segment.text):
            runs.append([])
        elif "\n" in text[last : segment.start]:
            runs.append([TextPiece(segment.start, segment.end)])
        else:
            runs[-1].append(TextPiece(segment.start, segment.end))
    pieces = list(Alignment.of(text, [piece for run in runs for piece in run]).pieces)
    for run in runs:
        places = [pieces.index(piece) for piece in run]
        shuffled = random.sample(run, len(run))
        for place, piece in zip(places, run[::-1] if shuffled == run else shuffled, strict=True):
            pieces[place] = piece
    return Alignment(tuple(pieces))


def _piece(at: int, old: str, new: str) -> TextPiece:
    return TextPiece(at, at + len(old), new)


def _named(text: str, start: int, end: int, name: str, names: ConceptNames) -> TextPiece:
    """The piece with a name in place of what is there, with a capital at the start of a sentence."""
    new, ahead = names.running(name), text[:start]
    opens = not ahead.strip() or _SENTENCE_END.search(ahead)
    return TextPiece(start, end, new[0].upper() + new[1:] if opens else new)


def _alone(document: Document) -> list[Entity]:
    """The entities that overlap no other."""
    return [
        entity
        for entity in document.entities
        if sum(_overlap(entity, other.start, other.end) for other in document.entities) == 1
    ]


def _overlap(entity: Entity, start: int, end: int) -> bool:
    return entity.start < end and start < entity.end


def _is_bounded(text: str, entity: Entity) -> bool:
    """Whether no letter, digit or hyphen touches a mention."""
    around = text[max(entity.start - 1, 0) : entity.start] + text[entity.end : entity.end + 1]
    return not any(character.isalnum() or character in "-_" for character in around)


def _running(concept: Concept) -> list[str]:
    """Names of a concept that could stand in a sentence: not "Gout, unspecified", and no bare acronym."""
    return [
        name
        for name in (concept.name, *concept.synonyms)
        if len(name.split()) <= _LONGEST
        and "," not in name
        and not name.lower().startswith("other ")
        and not normalise.is_acronym(name)
        and next(normalise.variants(name), None) is None
    ]


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
