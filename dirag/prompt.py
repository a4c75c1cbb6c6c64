"""Segment + concepts + examples + template -> ``Prompt``, within the context of the engine.

Templates are plain files in ``prompts/``, one an answer format and language. What does not fit is left out in
a fixed order (the least similar examples, then concept lines) and told as an issue; nothing is ever cut.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template as Text

from dirag import resources
from dirag.data import Document, Entity, Hit, Issue, Prompt
from dirag.errors import PromptError
from dirag.occurrences import flatten
from dirag.protocols import AnswerFormat

FIELDS: Mapping[str, frozenset[str]] = {
    "head": frozenset({"types"}),
    "example": frozenset({"text", "label", "answer"}),
    "concept": frozenset({"mention", "semantic_type"}),
    "query": frozenset({"concepts", "text", "label"}),
}


@dataclass(frozen=True, slots=True)
class Template:
    """The words of a prompt; ``plurals`` names entity types as the head and the label do."""

    head: Text
    example: Text
    concept: Text
    query: Text
    several: str
    plurals: Mapping[str, str]


def prompt_file(answer: str, language: str = "en") -> Path:
    """The file with the template of an answer format."""
    return resources.path("prompts", f"{answer}.{language}.toml")


def load_template(answer: str, *, language: str = "en", path: Path | None = None) -> Template:
    """The template for an answer format, checked: unknown and missing fields raise PromptError."""
    path = path or prompt_file(answer, language)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PromptError(f"cannot read the template {path}: {error}") from error
    for key, allowed in FIELDS.items():
        if not isinstance(raw.get(key), str):
            raise PromptError(f"template {path} has no text {key!r}", hint=f"it needs {', '.join(FIELDS)}")
        odd = set(Text(raw[key]).get_identifiers()) - allowed
        if odd or not Text(raw[key]).is_valid():
            seen = ", ".join(sorted(odd)) or "a lone $"
            raise PromptError(
                f"template {path}, {key!r}: {seen}", hint=f"fields: {', '.join(sorted(allowed))}"
            )
    if "text" not in Text(raw["query"]).get_identifiers():
        raise PromptError(f"template {path}, 'query' has no $text", hint="the sentence must be in it")
    texts = {key: Text(raw[key]) for key in FIELDS}
    return Template(
        **texts, several=str(raw.get("several", "Entities")), plurals=dict(raw.get("plurals", {}))
    )


@dataclass(frozen=True, slots=True)
class PromptBuilder:
    """Builds the prompts of one run: one template, one answer format, one tuple of types."""

    template: Template
    answer: AnswerFormat
    types: tuple[str, ...]
    context: int
    count_tokens: Callable[[str], int]
    constrain: bool = True
    #: The examples written so far by text and entities: those of a pool come again and again.
    _written: dict[tuple[str, tuple[Entity, ...]], str] = field(default_factory=dict, init=False, repr=False)

    def build(
        self, text: str, *, examples: Sequence[Document], concepts: Sequence[Hit] = ()
    ) -> tuple[Prompt | None, list[Issue]]:
        """The prompt for one text, with ``examples`` best first; None where not even the bare text fits."""
        room = self.context - self._answer_tokens(text)
        shots, lines = list(examples), list(concepts)
        prompt = self._text(text, shots, lines)
        while not (fits := self._fits(prompt, room)) and (shots or lines):
            (shots or lines).pop()
            prompt = self._text(text, shots, lines)
        if not fits:
            return None, [Issue("truncated", "", f"the text alone does not fit {self.context} tokens")]
        issues = []
        lost = [(len(examples), len(shots), "examples"), (len(concepts), len(lines), "concept lines")]
        left = [f"{given - kept} of {given} {what}" for given, kept, what in lost if kept < given]
        if left:
            told = f"{' and '.join(left)} left out to fit {self.context} tokens"
            issues.append(Issue("examples-dropped", "", told))
        constraint = self.answer.constrain(text) if self.constrain else None
        return Prompt(prompt, self.answer.stop, self._answer_tokens(text), constraint), issues

    def _answer_tokens(self, text: str) -> int:
        """Room for an answer: twice what a copy of the text takes, at about four characters a token."""
        each = 2 if len(self.types) == 1 else 1  # several types are named item by item
        return min(self.context // 2, 32 + len(text) // each)

    def _fits(self, prompt: str, room: int) -> bool:
        # No token is shorter than a byte, so a short prompt need not be counted.
        return len(prompt.encode()) <= room or self.count_tokens(prompt) <= room

    def _text(self, text: str, examples: Sequence[Document], concepts: Sequence[Hit]) -> str:
        template = self.template
        plurals = [template.plurals.get(kind, kind) for kind in self.types]
        label = plurals[0].capitalize() if len(plurals) == 1 else template.several
        # the most similar stands next to the query
        shots = [self._example(example, label) for example in reversed(examples)]
        lines = [
            template.concept.substitute(
                mention=_line(text[hit.start : hit.end]), semantic_type=", ".join(hit.concept.semantic_types)
            )
            for hit in concepts
        ]
        head = template.head.substitute(types=_enumerate(plurals))
        query = template.query.substitute(text=_line(text), label=label, concepts="".join(lines))
        return head + "".join(shots) + query

    def _example(self, example: Document, label: str) -> str:
        key = example.text, example.entities
        if key not in self._written:
            answer = self.answer.render(*key)
            text = _line(example.text)
            self._written[key] = self.template.example.substitute(text=text, label=label, answer=answer)
        return self._written[key]


def _line(text: str) -> str:
    """The text on one line, as answers show it: a wrapped sentence must not look like two."""
    return flatten(text).strip()


def _enumerate(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
