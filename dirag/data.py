"""The core types, all frozen: what the stages hand to each other.

Offsets count Unicode code points into ``Document.text`` exactly as it was given, and are half-open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from dirag.constraint import Constraint

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Match: TypeAlias = Literal["exact", "fuzzy", "dense"]
#: What a text can say of a mention: it is not there; it may be; not now, but on a condition or as a risk; it
#: is over, or past history; it is somebody else's. Without any of these it is there, now, in the patient.
Status: TypeAlias = Literal["negated", "uncertain", "hypothetical", "historical", "family"]

#: Every issue code with its meaning; ``Issue`` refuses others.
ISSUES: Mapping[str, str] = {
    "unreadable": "the record could not be read",
    "empty": "the record has no text",
    "unparsed": "an answer, or a part of one, was not in the answer format",
    "invented": "a mention in an answer does not stand in the text",
    "unconstrained": "the engine did not obey the constraint of an answer, which is read as it is",
    "truncated": "an answer ended at its token limit, or a text could not be sent whole",
    "failed": "the engine gave no answer for a segment, or a stage failed on the document",
    "examples-dropped": "in-context examples were left out so that the prompt fits the context",
    "unusable-label": "a gold entity could not be read or placed",
}


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that went wrong or got lost, kept in the result. Never holds text of the document."""

    code: str
    where: str
    detail: str = ""

    def __post_init__(self) -> None:
        if self.code not in ISSUES:
            raise ValueError(f"issue code {self.code!r} is not one of {', '.join(ISSUES)}")


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept of a vocabulary; ``synonyms`` leaves out ``name``.

    ``parents`` are ids of broader concepts of the same vocabulary, ``xrefs`` other ids of the same concept.
    ``extensions`` are characters that complete its code, or those below it, each with what it adds to the
    name: the seventh ones of ICD-10-CM.
    """

    id: str
    name: str
    synonyms: tuple[str, ...] = ()
    semantic_types: tuple[str, ...] = ()
    definition: str = ""
    source: str = ""
    parents: tuple[str, ...] = ()
    xrefs: tuple[str, ...] = ()
    extensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A concept found by one of its names: which ``alias`` matched, how (``match``) and how well.

    ``score`` is the probability that the concept is right, 1 in a scan. ``start``/``end`` are offsets into
    the text that was scanned, 0 and the length for a look-up of a bare string.
    """

    concept: Concept
    alias: str
    match: Match
    score: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Entity:
    """A typed span; ``score`` (0..1) and the ``link`` to a concept are None where unknown.

    So is its ``status``, whose labels stand in the order of ``Status``.
    """

    start: int
    end: int
    type: str
    text: str
    score: float | None = None
    link: Hit | None = None
    status: tuple[Status, ...] | None = None

    @property
    def concept(self) -> Concept | None:
        """The concept that the mention is linked to."""
        return self.link.concept if self.link else None


@dataclass(frozen=True, slots=True)
class Document:
    """A text with what is known of it: one type for input, gold standard and in-context examples.

    Raises ValueError where an entity's ``text`` is not what stands at its offsets.
    """

    id: str
    text: str
    entities: tuple[Entity, ...] = ()
    meta: Mapping[str, Json] = field(default_factory=dict)
    issues: tuple[Issue, ...] = ()

    def __post_init__(self) -> None:
        # Checked once for good: an offset that is off by one would be trained on and scored without a word.
        for entity in self.entities:
            if not 0 <= entity.start < entity.end <= len(self.text):
                raise ValueError(f"entity {entity.start}..{entity.end} lies outside document {self.id!r}")
            if self.text[entity.start : entity.end] != entity.text:
                raise ValueError(f"entity {entity.start}..{entity.end} of {self.id!r} has another text")


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a document that is tagged at once; ``start`` is its offset in the document.

    ``document`` is the number of that document in the run, by which a tagger keeps documents apart.
    """

    start: int
    text: str
    document: int = 0

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def where(self) -> str:
        """Its place in the document, as issues say it."""
        return f"characters {self.start}-{self.end}"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request to an engine: ``text`` to continue until one of ``stop`` or ``max_tokens``.

    The answer is the likeliest, or at a ``temperature`` above 0 a sample, drawn with ``seed`` (of 31 bits).
    """

    text: str
    stop: tuple[str, ...] = ()
    max_tokens: int = 256
    constraint: Constraint | None = None
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a completion; ``logprob`` is natural and raw: before any constraint's mask.

    ``top`` holds the likeliest tokens at this place with their raw log-probabilities, best first.
    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more requests; ``cached`` is the part of ``prompt`` that was not computed.

    ``hits`` counts the requests that a response cache answered, ``misses`` those that it passed on.
    ``requests`` is counted by those who send them: 0 in a completion.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    hits: int = 0
    misses: int = 0
    requests: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.cached + other.cached,
            self.hits + other.hits,
            self.misses + other.misses,
            self.requests + other.requests,
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine wrote, without the stop string. ``finish`` "failed" means there is no text."""

    text: str
    tokens: tuple[Token, ...] = ()
    finish: Literal["stop", "length", "failed"] = "stop"
    usage: Usage = Usage()
    detail: str = ""

    @classmethod
    def failed(cls, detail: str, usage: Usage = Usage()) -> Completion:
        return cls("", finish="failed", usage=usage, detail=detail)


@dataclass(frozen=True, slots=True)
class Mention:
    """A mention as an answer names it, before alignment.

    ``start`` is known (an offset into the segment) where the answer format gives it. ``occurrence`` is
    the ordinal, from 1, among the string's occurrences where the answer gives that, else None. It is written
    ``after`` this offset of the answer.
    """

    text: str
    type: str
    start: int | None = None
    occurrence: int | None = None
    score: float | None = None
    after: int = 0


@dataclass(frozen=True, slots=True)
class Tagging:
    """What a tagger says of one segment; entities' offsets are relative to the segment."""

    entities: tuple[Entity, ...] = ()
    issues: tuple[Issue, ...] = ()
    usage: Usage = Usage()

    @property
    def has_failed(self) -> bool:
        """Tells whether a request failed: its silence then says nothing of what stands there."""
        return any(issue.code == "failed" for issue in self.issues)


@dataclass(frozen=True, slots=True)
class Result:
    """A document with its predicted entities, sorted by offset, and everything that went wrong."""

    document: Document
    entities: tuple[Entity, ...] = ()
    issues: tuple[Issue, ...] = ()
    usage: Usage = Usage()
