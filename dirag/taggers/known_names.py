"""Counts how often a name is an entity where it stands, and of which type: the evidence of known names.

In: annotated sentences, and a function that finds the names of a vocabulary in a text. Out: for a text, the
known names in it, each with its share. Names are compared by ``normalise.cased_key``, in one language.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from dirag.data import Document, Entity
from dirag.examples.selection import comparison_form
from dirag.text import normalise
from dirag.text.language import Language

#: Annotated names of more words are not counted: they hardly ever come twice.
LONGEST = 16
#: The share of a vocabulary's name that the pool lacks, where the pool gives no estimate of it.
UNSEEN = 0.5
#: A last word whose names have one type in more than this share of cases decides it: "failure", disease.
TYPICAL = 0.7

Key = tuple[str, ...]
#: An event, the key of the name or last word that it is counted for, and the entity type or "". Events:
#: "annotated", a name is an entity of the type; "ends", a word ends such a name; "stands", an annotated name
#: is in a sentence as whole words; "named", a vocabulary has a name in it, "inside" or "exactly" an entity.
Count = tuple[str, Key, str]


@dataclass(frozen=True, slots=True)
class KnownName:
    """A span of a known name; ``share`` (above 0, to 1) of the name's places are entities of ``type``.

    It is not ``annotated`` where only a vocabulary has the name, whose type is less certain.
    """

    start: int
    end: int
    type: str
    share: float
    annotated: bool = True


class NameStatistics:
    """Counts over a pool, each distinct sentence once; a text that is in the pool itself is left out for it.

    ``names`` finds the names of a vocabulary in a text, none overlapping another. Their share is that of
    their places in the pool that lie in an entity. A name that the pool lacks has the share of exact entities
    among the names that stand there once (as Good and Turing estimate unseen events from those seen once).
    """

    def __init__(
        self,
        examples: Iterable[Document],
        language: Language,
        *,
        names: Callable[[str], Iterable[Entity]] | None = None,
    ) -> None:
        self._normaliser = normalise.normaliser(language)
        self._names = names or (lambda text: ())
        self._pool = {comparison_form(example.text): example for example in examples}
        self._types: dict[Key, set[str]] = defaultdict(set)
        self._lengths: dict[str, set[int]] = defaultdict(set)
        for example in self._pool.values():
            for key, kind in self._annotations(example):
                self._types[key].add(kind)
                self._lengths[key[0]].add(_length(key))
        self._kinds = sorted({kind for kinds in self._types.values() for kind in kinds})
        self._counts: Counter[Count] = Counter()
        for example in self._pool.values():
            self._counts.update(self._count(example))
        once = [key for (what, key, _), number in self._counts.items() if what == "named" and number == 1]
        self._unseen = sum(self._counts["exactly", key, ""] for key in once) / len(once) if once else UNSEEN

    def find(self, text: str) -> list[KnownName]:
        """Returns every known name of a text in text order, overlapping ones too, with its likeliest type."""
        count = self._counter(text)
        names = {}
        for key, start, end in self._occurrences(text):
            number, kind = max((count("annotated", key, kind), kind) for kind in self._types[key])
            if number > 0:
                share = min(1.0, number / count("stands", key, ""))
                names[start, end] = KnownName(start, end, kind, share)
        for name in self._names(text):
            key, span = self._key(name), (name.start, name.end)
            stands = count("named", key, "")
            share = count("inside", key, "") / stands if stands else self._unseen
            if share and span not in names:
                names[span] = KnownName(*span, self._type(name, count), share, annotated=False)
        return [names[span] for span in sorted(names)]

    def typed(self, text: str, entities: Iterable[Entity]) -> list[Entity]:
        """Returns the entities of a text, retyped where names of the pool with that last word agree."""
        count = self._counter(text)
        return [replace(entity, type=self._type(entity, count)) for entity in entities]

    def _type(self, entity: Entity, count: Callable[[str, Key, str], int]) -> str:
        counts = {kind: count("ends", self._key(entity)[-1:], kind) for kind in self._kinds}
        kind = max(counts, key=lambda kind: counts[kind], default="")
        return kind if kind and counts[kind] > TYPICAL * sum(counts.values()) else entity.type

    def _counter(self, text: str) -> Callable[[str, Key, str], int]:
        """Returns a look-up of counts from which those of this text itself are taken off."""
        example = self._pool.get(comparison_form(text))
        counts = Counter(self._count(example) if example else ())
        return lambda *count: self._counts[count] - counts[count]

    def _count(self, example: Document) -> Iterator[Count]:
        for key, kind in self._annotations(example):
            yield "annotated", key, kind
            yield "ends", key[-1:], kind
        for key, _, _ in self._occurrences(example.text):
            yield "stands", key, ""
        spans = {(e.start, e.end) for e in example.entities}
        for name in self._names(example.text):
            key = self._key(name)
            yield "named", key, ""
            if any(e.start <= name.start and name.end <= e.end for e in example.entities):
                yield "inside", key, ""
            if (name.start, name.end) in spans:
                yield "exactly", key, ""

    def _occurrences(self, text: str) -> Iterator[tuple[Key, int, int]]:
        words = list(self._normaliser.words(text))
        for first, (word, start, _) in enumerate(words):
            for length in sorted(self._lengths.get(word, ())):
                if first + length <= len(words):
                    end = words[first + length - 1][2]
                    key = normalise.cased_key(
                        [form for form, _, _ in words[first : first + length]], text[start:end]
                    )
                    if key in self._types:
                        yield key, start, end

    def _annotations(self, example: Document) -> Iterator[tuple[Key, str]]:
        """Yields the entities that begin and end with a word of the sentence, as names with their types."""
        words = list(self._normaliser.words(example.text))
        first = {start: number for number, (_, start, _) in enumerate(words)}
        last = {end: number for number, (_, _, end) in enumerate(words)}
        for entity in example.entities:
            # A share is one of the places where a name stands as whole words. "ALL" annotated in "ALLs" is no
            # such place: counted all the same, it would give shares above 1, and of no place at all.
            if entity.start in first and entity.end in last:
                forms = [form for form, _, _ in words[first[entity.start] : last[entity.end] + 1]]
                if len(forms) <= LONGEST:
                    yield normalise.cased_key(forms, entity.text), entity.type

    def _key(self, entity: Entity) -> Key:
        # Not Normaliser.key(), which gives a name without any word its signs: here it has no words.
        words = [form for form, _, _ in self._normaliser.words(entity.text)]
        return normalise.cased_key(words, entity.text)


def _length(key: Key) -> int:
    return len(key) - key[-1].startswith("=")
