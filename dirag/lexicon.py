"""The names annotated in a pool, as evidence: how often is this string an entity where it stands?

In: annotated sentences. Out: for a text, the known names in it with that share. A name is compared word
by word in normal form, a short one (up to four characters) in its own case as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dirag.data import Document
from dirag.knowledge import normalise
from dirag.selection import comparison_form

#: Longer names, in words, are left out: they do not come twice.
LONGEST = 16
SHORT = 4

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownName:
    """A span that is annotated elsewhere; ``share`` (above 0, to 1) of its occurrences are of ``type``."""

    start: int
    end: int
    type: str
    share: float


class Lexicon:
    """Counts over the pool, each distinct sentence once. A text that is itself in it counts for nothing."""

    def __init__(self, examples: Iterable[Document]) -> None:
        distinct = {comparison_form(example.text): example for example in examples}
        self._annotated: dict[Key, Counter[str]] = defaultdict(Counter)
        for example in distinct.values():
            for key, kind in _annotations(example):
                self._annotated[key][kind] += 1
        self._lengths: dict[str, set[int]] = defaultdict(set)
        for key in self._annotated:
            self._lengths[key[0]].add(_length(key))
        self._stands: Counter[Key] = Counter()
        self._examples = distinct
        for example in distinct.values():
            self._stands.update(key for key, _, _ in self._occurrences(example.text))

    def find(self, text: str) -> list[KnownName]:
        """Every known name in the text, in its order, overlapping ones too; the likeliest type of each."""
        own = self._examples.get(comparison_form(text))
        mine = Counter(_annotations(own)) if own else Counter()
        mine_stands = Counter(key for key, _, _ in self._occurrences(own.text)) if own else Counter()
        found = []
        for key, start, end in self._occurrences(text):
            counts = {kind: n - mine[key, kind] for kind, n in self._annotated[key].items()}
            kind = max(counts, key=lambda name: (counts[name], name))
            if counts[kind] > 0:
                share = counts[kind] / (self._stands[key] - mine_stands[key])
                found.append(KnownName(start, end, kind, min(1.0, share)))
        return found

    def _occurrences(self, text: str) -> Iterator[tuple[Key, int, int]]:
        words = list(normalise.words(text))
        for first, (word, start, _) in enumerate(words):
            for length in sorted(self._lengths.get(word, ())):
                if first + length <= len(words):
                    end = words[first + length - 1][2]
                    key = _key([form for form, _, _ in words[first : first + length]], text[start:end])
                    if key in self._annotated:
                        yield key, start, end


def longest(names: Sequence[KnownName], *, share: float) -> list[KnownName]:
    """Those with at least this share that do not overlap, the longest where they compete; in text order."""
    kept: list[KnownName] = []
    for name in sorted(names, key=lambda n: (n.start - n.end, n.start)):
        if name.share >= share and all(name.end <= k.start or name.start >= k.end for k in kept):
            kept.append(name)
    return sorted(kept, key=lambda name: name.start)


def _annotations(example: Document) -> Iterator[tuple[Key, str]]:
    """The entities of an example that begin and end with a word."""
    for entity in example.entities:
        words = list(normalise.words(entity.text))
        if words and words[0][1] == 0 and words[-1][2] == len(entity.text) and len(words) <= LONGEST:
            yield _key([form for form, _, _ in words], entity.text), entity.type


def _key(words: Sequence[str], surface: str) -> Key:
    return (*words, "=" + surface) if len(surface) <= SHORT else tuple(words)


def _length(key: Key) -> int:
    return len(key) - key[-1].startswith("=")
