"""Known names as evidence: how often is this string an entity where it stands, and of which type?

In: annotated sentences, and whatever finds the names of a vocabulary in a text. Out: for a text, the known
names in it, each with its share. A name is compared word by word in normal form, a short one (up to
four characters) in its own case as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from dirag.data import Document, Entity
from dirag.examples.selection import comparison_form
from dirag.text import normalise

#: Longer names, in words, are left out: they do not come twice.
LONGEST = 16
#: The share of a vocabulary's name that never stands in the pool, where no other stands there once.
UNSEEN = 0.5
#: A word that ends names of one type in more than this share of cases decides the type: "failure", disease.
TYPICAL = 0.7

Key = tuple[str, ...]
Count = tuple[str, Key, str]  # what is counted, of which name or word, and of which type if any


@dataclass(frozen=True, slots=True)
class KnownName:
    """A span that is known; ``share`` (above 0, to 1) of its occurrences are entities of ``type``.

    Not ``annotated`` where a vocabulary alone knows it, which tells the type less well.
    """

    start: int
    end: int
    type: str
    share: float
    annotated: bool = True


class NameStatistics:
    """Counts over the pool, each distinct sentence once. A text that is itself in it counts for nothing.

    ``names`` gives the names of a vocabulary that stand in a text, none overlapping another. These are known
    too, with the share of their occurrences in the pool that lie in an entity; one that never stands there
    has the share of those that stand there once and are entities.
    """

    def __init__(
        self, examples: Iterable[Document], *, names: Callable[[str], Iterable[Entity]] | None = None
    ) -> None:
        self._names = names or (lambda text: ())
        self._pool = {comparison_form(example.text): example for example in examples}
        self._types: dict[Key, set[str]] = defaultdict(set)
        self._lengths: dict[str, set[int]] = defaultdict(set)
        for example in self._pool.values():
            for key, kind in _annotations(example):
                self._types[key].add(kind)
                self._lengths[key[0]].add(_length(key))
        self._kinds = sorted({kind for kinds in self._types.values() for kind in kinds})
        self._counts: Counter[Count] = Counter()
        for example in self._pool.values():
            self._counts.update(self._count(example))
        once = [key for (what, key, _), number in self._counts.items() if what == "named" and number == 1]
        self._unseen = sum(self._counts["exactly", key, ""] for key in once) / len(once) if once else UNSEEN

    def find(self, text: str) -> list[KnownName]:
        """Every known name in the text, in its order, overlapping ones too; the likeliest type of each."""
        count = self._counter(text)
        found = {}
        for key, start, end in self._occurrences(text):
            number, kind = max((count("annotated", key, kind), kind) for kind in self._types[key])
            if number > 0:
                share = min(1.0, number / count("stands", key, ""))
                found[start, end] = KnownName(start, end, kind, share)
        for name in self._names(text):
            key, span = _entity_key(name), (name.start, name.end)
            stands = count("named", key, "")
            share = count("inside", key, "") / stands if stands else self._unseen
            if share and span not in found:
                found[span] = KnownName(*span, self._type(name, count), share, annotated=False)
        return [found[span] for span in sorted(found)]

    def typed(self, text: str, entities: Iterable[Entity]) -> list[Entity]:
        """The entities of a text, with another type where the pool tells it by the last word."""
        count = self._counter(text)
        return [replace(entity, type=self._type(entity, count)) for entity in entities]

    def _type(self, entity: Entity, count: Callable[[str, Key, str], int]) -> str:
        counts = {kind: count("ends", _entity_key(entity)[-1:], kind) for kind in self._kinds}
        kind = max(counts, key=lambda kind: counts[kind], default="")
        return kind if kind and counts[kind] > TYPICAL * sum(counts.values()) else entity.type

    def _counter(self, text: str) -> Callable[[str, Key, str], int]:
        """Looks a count up, without what this text brought to it."""
        own = self._pool.get(comparison_form(text))
        mine = Counter(self._count(own) if own else ())
        return lambda *what: self._counts[what] - mine[what]

    def _count(self, example: Document) -> Iterator[Count]:
        for key, kind in _annotations(example):
            yield "annotated", key, kind
            yield "ends", key[-1:], kind
        for key, _, _ in self._occurrences(example.text):
            yield "stands", key, ""
        spans = {(e.start, e.end) for e in example.entities}
        for name in self._names(example.text):
            key = _entity_key(name)
            yield "named", key, ""
            if any(e.start <= name.start and name.end <= e.end for e in example.entities):
                yield "inside", key, ""
            if (name.start, name.end) in spans:
                yield "exactly", key, ""

    def _occurrences(self, text: str) -> Iterator[tuple[Key, int, int]]:
        words = list(normalise.words(text))
        for first, (word, start, _) in enumerate(words):
            for length in sorted(self._lengths.get(word, ())):
                if first + length <= len(words):
                    end = words[first + length - 1][2]
                    key = normalise.cased_key(
                        [form for form, _, _ in words[first : first + length]], text[start:end]
                    )
                    if key in self._types:
                        yield key, start, end


def _annotations(example: Document) -> Iterator[tuple[Key, str]]:
    """Yields the entities that begin and end with a word of the sentence, as names with their types."""
    words = list(normalise.words(example.text))
    first = {start: number for number, (_, start, _) in enumerate(words)}
    last = {end: number for number, (_, _, end) in enumerate(words)}
    for entity in example.entities:
        # A share is one of the places where a name stands as whole words. "ALL" annotated in "ALLs" is no
        # such place: counted all the same, it would give shares above 1, and of no place at all.
        if entity.start in first and entity.end in last:
            forms = [form for form, _, _ in words[first[entity.start] : last[entity.end] + 1]]
            if len(forms) <= LONGEST:
                yield normalise.cased_key(forms, entity.text), entity.type


def _entity_key(entity: Entity) -> Key:
    return normalise.cased_key([form for form, _, _ in normalise.words(entity.text)], entity.text)


def _length(key: Key) -> int:
    return len(key) - key[-1].startswith("=")
