"""Draws paragraphs of documents and has an engine label them; none of their text is logged or kept."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from string import Template

from dirag.constraint import Builder, Constraint
from dirag.data import Document, Prompt
from dirag.errors import PromptError
from dirag.examples.quality import DOMAINS, KINDS, LEAST, MOST, Quality
from dirag.prompting.templates import prompt_file
from dirag.protocols import Backend
from dirag.text.occurrences import flatten
from dirag.text.segment import paragraphs

_TOKENS = 24  # more than any answer has
_SEPARATOR = ", "
_SCALE = tuple(map(str, range(LEAST, MOST + 1)))
_PARTS = (KINDS, DOMAINS, _SCALE)
#: Servers may drop the constraint: other marks between the parts, and what follows them, do no harm.
_ANSWER = re.compile(r"\W*(?i:{})\b".format(r")\W+(?i:".join(f"({'|'.join(part)})" for part in _PARTS)))


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph and the number of its document, by which those of one document are kept together."""

    text: str
    document: int


def draw(
    documents: Iterable[Document], size: int, *, seed: int, left_out: Counter[str]
) -> tuple[list[Paragraph], int]:
    """Draws up to ``size`` different paragraphs; returns them and how many paragraphs there are in all.

    ``left_out`` counts the documents that could not be read or have no text.
    """
    drawn: dict[bytes, Paragraph] = {}
    total = 0
    for number, document in enumerate(documents):
        if not document.text.strip():
            left_out.update(f"documents {issue.code}" for issue in document.issues[:1])
        for block in paragraphs(document.text):
            total += 1
            # The smallest digests are a fair draw in any order of the files, in the memory of a sample.
            key = hashlib.sha256(f"{seed}\n{block.text}".encode("utf-8", "surrogatepass")).digest()
            drawn.setdefault(key, Paragraph(block.text, number))
        if len(drawn) > 2 * size:
            drawn = _smallest(drawn, size)
    return list(_smallest(drawn, size).values()), total


def _smallest(drawn: dict[bytes, Paragraph], size: int) -> dict[bytes, Paragraph]:
    return dict(sorted(drawn.items(), key=lambda entry: entry[0])[:size])


def read_prompt(name: str = "auto") -> Template:
    """Reads the prompt of a quality score by name or path; raises PromptError for a file that is none."""
    path = prompt_file("quality", name)
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PromptError(f"cannot read the prompt {path}: {error}", hint="give another --prompt") from error
    prompt = Template(str(raw.get("query", "")))
    if raw.get("answer") != "quality" or not prompt.is_valid() or prompt.get_identifiers() != ["text"]:
        raise PromptError(
            f"the prompt {path} does not ask for a quality",
            hint='write answer = "quality" and a text "query" whose only field is $text',
        )
    return prompt


def render(quality: Quality) -> str:
    """Returns the answer that says this."""
    return _SEPARATOR.join((quality.kind, quality.domain, str(round(quality.usefulness))))


def parse(answer: str) -> Quality | None:
    """Reads an answer; returns None for one that cannot be read."""
    if not (match := _ANSWER.match(answer)):
        return None
    kind, domain, usefulness = match.groups()
    return Quality(kind.lower(), domain.lower(), float(usefulness))


def constraint() -> Constraint:
    """Admits a kind, a domain and a usefulness, with commas between them."""
    builder = Builder()
    state = builder.body
    for ordinal, part in enumerate(_PARTS, start=1):
        is_last = ordinal == len(_PARTS)
        after = builder.state(final=is_last)
        for word in part:
            builder.edge(state, word + ("" if is_last else _SEPARATOR), after)
        state = after
    return builder.build()


def label(
    engine: Backend,
    prompt: Template,
    sample: Sequence[Paragraph],
    left_out: Counter[str],
    *,
    advance: Callable[[int], None] = lambda done: None,
) -> list[tuple[Paragraph, Quality]]:
    """Asks an engine for the quality of each paragraph; returns those of which it gave one.

    ``left_out`` counts, by reason, the others. ``advance`` gets the number of paragraphs that are done.
    """
    admissible = constraint()
    fitting: list[tuple[Paragraph, Prompt]] = []
    for paragraph in sample:
        text = prompt.substitute(text=flatten(paragraph.text).strip())
        # No token is shorter than a byte, so a short prompt need not be counted.
        room = engine.context - _TOKENS
        if len(text.encode("utf-8", "replace")) <= room or engine.count_tokens(text) <= room:
            fitting.append((paragraph, Prompt(text, ("\n",), _TOKENS, admissible)))
        else:
            left_out["paragraphs too long for --context"] += 1
    labelled: list[tuple[Paragraph, Quality]] = []
    # One stream for all: engines answer many at once, and in the order of the prompts.
    answers = engine.generate(request for _, request in fitting)
    for done, ((paragraph, _), completion) in enumerate(zip(fitting, answers, strict=True), start=1):
        if completion.finish == "failed":
            left_out["requests that failed"] += 1
        elif (quality := parse(completion.text)) is None:
            left_out["answers that cannot be read"] += 1
        else:
            labelled.append((paragraph, quality))
        advance(done)
    return labelled
