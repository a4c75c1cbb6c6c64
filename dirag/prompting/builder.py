"""Builds a prompt from a text, its examples and its concepts, within the context of the engine.

What does not fit is left out in a fixed order (the least useful examples, then concept lines) and reported as
an issue; nothing is ever cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dirag.data import Document, Entity, Hit, Issue, Prompt
from dirag.examples.leak_guard import near_copy
from dirag.prompting.templates import FIELDS as FIELDS
from dirag.prompting.templates import PromptTemplate as PromptTemplate
from dirag.prompting.templates import load_template as load_template
from dirag.prompting.templates import prompt_file as prompt_file
from dirag.prompting.templates import sources as sources
from dirag.protocols import AnswerFormat
from dirag.text.occurrences import flatten


@dataclass(frozen=True, slots=True)
class PromptBuilder:
    """Builds the prompts of one run: one template, one answer format, one tuple of types.

    ``descriptions`` are by type, for the head. With ``definitions`` concept lines have the definition. With
    ``best_last`` the most useful example stands right before the query, else it is the first.
    """

    template: PromptTemplate
    answer: AnswerFormat
    types: tuple[str, ...]
    context: int
    count_tokens: Callable[[str], int]
    constrain: bool = True
    descriptions: Mapping[str, str] = field(default_factory=dict)
    definitions: bool = False
    best_last: bool = True
    #: Rendered examples by text and entities: the same few of a pool are chosen for many texts.
    _written: dict[tuple[str, tuple[Entity, ...]], str] = field(default_factory=dict, init=False, repr=False)

    def build(
        self, text: str, *, examples: Sequence[Document], concepts: Sequence[Hit] = ()
    ) -> tuple[Prompt | None, list[Issue]]:
        """Returns the prompt for one text and its issues; None for a prompt where the bare text does not fit.

        ``examples`` come most useful first; those of the template follow them.
        """
        room = self.context - self._answer_tokens(text)
        examples = [*examples, *(e for e in self.template.examples if not near_copy(text, e.text))]
        shots, lines = list(examples), list(concepts)
        prompt = self._text(text, shots, lines)
        while not (fits := self._fits(prompt, room)) and (shots or lines):
            (shots or lines).pop()  # examples come most useful first, so the last is worth the least
            prompt = self._text(text, shots, lines)
        if not fits:
            return None, [Issue("truncated", "", f"the text alone does not fit {self.context} tokens")]
        issues = []
        counts = [(len(examples), len(shots), "examples"), (len(concepts), len(lines), "concept lines")]
        dropped = [f"{given - used} of {given} {what}" for given, used, what in counts if used < given]
        if dropped:
            detail = f"{' and '.join(dropped)} left out to fit {self.context} tokens"
            issues.append(Issue("examples-dropped", "", detail))
        constraint = self.answer.constrain(text) if self.constrain else None
        return Prompt(prompt, self.answer.stop, self._answer_tokens(text), constraint), issues

    def _answer_tokens(self, text: str) -> int:
        """Returns the room for an answer: twice what a copy of the text takes, at four characters a token."""
        characters = 2 if len(self.types) == 1 else 1  # a token; items of several types name their type too
        frame = max(32, len(self.answer.render("", ())) // 3)  # what stands around the mentions
        return min(self.context // 2, frame + len(text) // characters)

    def _fits(self, prompt: str, room: int) -> bool:
        # No token is shorter than a byte, so a short prompt need not be counted.
        return len(prompt.encode()) <= room or self.count_tokens(prompt) <= room

    def _text(self, text: str, examples: Sequence[Document], concepts: Sequence[Hit]) -> str:
        template = self.template
        plurals = [template.plurals.get(kind, kind) for kind in self.types]
        label = plurals[0].capitalize() if len(plurals) == 1 else template.several
        shots = [self._example(example, label) for example in examples]
        if self.best_last:
            shots.reverse()
        lines = [self._concept(text, hit) for hit in concepts]
        described = "".join(f"{type_}: {about}\n" for type_, about in self.descriptions.items())
        head = template.head.substitute(types=_enumerate(plurals), descriptions=described)
        query = template.query.substitute(text=_line(text), label=label, concepts="".join(lines))
        return head + "".join(shots) + query

    def _concept(self, text: str, hit: Hit) -> str:
        definition = _line(hit.concept.definition) if self.definitions else ""
        return self.template.concept.substitute(
            mention=_line(text[hit.start : hit.end]),
            semantic_type=", ".join(hit.concept.semantic_types),
            definition=definition and " " + definition,
        )

    def _example(self, example: Document, label: str) -> str:
        key = example.text, example.entities
        if key not in self._written:
            answer = self.answer.render(*key)
            text = _line(example.text)
            self._written[key] = self.template.example.substitute(text=text, label=label, answer=answer)
        return self._written[key]


def _line(text: str) -> str:
    """Returns the text on one line, as answers show it: a wrapped sentence must not look like two."""
    return flatten(text).strip()


def _enumerate(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
