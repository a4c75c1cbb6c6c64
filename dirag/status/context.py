"""The ConText algorithm: cues, the scopes in which they bear on mentions, and the headings above them.

After Chapman, Chu and Dowling (2007) and Harkema and others (2009). A cue gives its label to the mentions on
its side of the sentence, up to a stop; what looks like a cue and is none hides the words that it is made of.
What stands below a heading such as PAST MEDICAL HISTORY has the label of the heading. The phrases are the
language's.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias, get_args

from dirag.data import Entity, Segment, Status
from dirag.files import paths
from dirag.status.phrases import Phrases, Place, key
from dirag.text.language import Cue, Language, Reach, Stop

_LABELS: tuple[Status, ...] = get_args(Status)
_NO_LABELS: frozenset[str] = frozenset()

#: What a phrase means: a cue, a stop, or that it is neither.
_Meaning: TypeAlias = "Cue | Stop | None"

#: The stops that end the scope of a cue.
_STOPS: Mapping[Reach, frozenset[Stop]] = {
    "phrase": frozenset(("phrase", "clause", "verb")),
    "clause": frozenset(("clause", "verb")),
    "sentence": frozenset(),
}

#: A heading in capitals that is no longer ends nothing, unless it is known: "CV:" is a part of a section too.
_SHORT = 4
_HEADING = re.compile(r"\W{0,3}([^\W\d_][^:\n]{0,60}?)\s*(?::|\Z)")


@dataclass(frozen=True, slots=True)
class StatusTable:
    """Which entity types can have a status, and which labels give way to which others."""

    types: frozenset[str]
    gives_way: Mapping[str, frozenset[str]]


@cache
def table() -> StatusTable:
    """Returns the table ``kb/status.toml``, read once."""
    parts = tomllib.loads(paths.path("kb", "status.toml").read_text("utf-8"))
    gives_way = {label: frozenset(others) for label, others in parts["gives-way"].items()}
    return StatusTable(frozenset(parts["types"]), gives_way)


class ConText:
    """Tells the status of entities by the cues, stops and headings of a language."""

    def __init__(self, language: Language) -> None:
        rules = language.status
        self._table = table()
        self._phrases: Phrases[_Meaning] = Phrases(
            (
                *((phrase, cue) for cue in rules.cues for phrase in cue.phrases),
                *((phrase, stop) for stop, phrases in rules.stops.items() for phrase in phrases),
                *((phrase, None) for phrase in rules.neutral),
            )
        )
        self._headings = {key(text): label for label, texts in rules.headings.items() for text in texts}

    def classify(self, segments: Sequence[Segment], entities: Sequence[Entity]) -> list[Entity]:
        """Returns the entities in their order with their status; the segments are those of their document."""
        numbers = [n for n, entity in enumerate(entities) if entity.type in self._table.types]
        waiting = sorted(numbers, key=lambda n: entities[n].start, reverse=True)
        labels: dict[int, set[Status]] = {number: set() for number in numbers}
        below: set[Status] = set()
        for segment in segments:
            inside = []
            while waiting and entities[waiting[-1]].start < segment.end:
                inside.append(waiting.pop())
            mentions = [entities[n] for n in inside]
            below = self._below(segment, mentions, below)
            if inside:
                of_sentence = self._in_sentence(segment, mentions)
                labels |= {n: of | below for n, of in zip(inside, of_sentence, strict=True)}
        return [
            replace(entity, status=self._status(labels[n])) if n in labels else entity
            for n, entity in enumerate(entities)
        ]

    def _status(self, labels: set[Status]) -> tuple[Status, ...]:
        gives_way = self._table.gives_way
        return tuple(
            label for label in _LABELS if label in labels and not labels & gives_way.get(label, _NO_LABELS)
        )

    def _below(self, segment: Segment, mentions: Sequence[Entity], above: set[Status]) -> set[Status]:
        """Returns the labels of what stands in a segment by its heading, else by those ``above`` it."""
        match = _HEADING.match(segment.text)
        if match is None or (mentions and mentions[0].start < segment.start + match.end(1)):
            return above  # no heading names a mention: "HTN: treated" is an item
        heading = match[1]
        label = self._headings.get(key(heading))
        if label is None:
            return set() if heading.isupper() and len(heading) > _SHORT else above
        return set() if label == "present" else {label}

    def _in_sentence(self, segment: Segment, entities: Sequence[Entity]) -> list[set[Status]]:
        spans = [(entity.start - segment.start, entity.end - segment.start) for entity in entities]
        labels: list[set[Status]] = [set() for _ in entities]
        places = []
        for place in self._phrases.places(segment.text):
            touching = [n for n, (start, end) in enumerate(spans) if start < place.end and place.start < end]
            for n in touching:
                if spans[n][0] == place.start:
                    labels[n] |= _of_itself(place)
            if not touching:  # a word of a mention says nothing of others
                places.append(place)
        for number, place in enumerate(places):
            for cue in place.meanings:
                if isinstance(cue, Cue):
                    first, last = _scope(cue, places, number, len(segment.text))
                    for (start, _), of in zip(spans, labels, strict=True):
                        if first <= start < last:
                            of.add(cue.label)
        return labels


def _of_itself(place: Place[_Meaning]) -> set[Status]:
    """Returns the labels that the first words of a mention give to it: "old infarct"."""
    return {
        cue.label
        for cue in place.meanings
        if isinstance(cue, Cue) and cue.stands == "before" and cue.reach == "phrase"
    }


def _scope(cue: Cue, places: Sequence[Place[_Meaning]], number: int, length: int) -> tuple[int, int]:
    """Returns from where to where a cue bears on mentions, as offsets into the sentence."""
    place = places[number]
    start, end = place.start, place.end
    if cue.stands != "after":
        end, edge = length, place.last
        for after in places[number + 1 :]:
            if _ends(cue, after, beside=after.first == edge):
                end = after.start
                break
            edge = after.last if after.first == edge and "verb" in after.meanings else edge
    if cue.stands != "before":
        start, edge = 0, place.first
        for before in reversed(places[:number]):
            if _ends(cue, before, beside=before.last == edge):
                start = before.end
                break
            edge = before.first if before.last == edge and "verb" in before.meanings else edge
    return start, end


def _ends(cue: Cue, place: Place[_Meaning], *, beside: bool) -> bool:
    stops = _STOPS[cue.reach]
    return any(
        stop in stops and not (beside and stop == "verb") for stop in place.meanings if isinstance(stop, str)
    )
