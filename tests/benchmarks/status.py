"""Measures the status of gold mentions: ``python tests/benchmarks/status.py NOTES.jsonl``.

Precision, recall and F1 of each label, and speed. The ConText of medspaCy, without and with its sections, and
negspaCy are measured beside ours on the same mentions, where they are installed.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, get_args

from dirag.data import Document, Status
from dirag.formats import read
from dirag.status.context import ConText
from dirag.text.language import english
from dirag.text.segment import segments

#: The status of each gold mention that has one, in the order of the document.
Told = list[frozenset[str]]
System = Callable[[Document], Told]


def main() -> None:
    documents = [
        replace(d, entities=tuple(e for e in d.entities if e.status is not None))
        for d in read(sys.argv[1:2], format="jsonl")
    ]
    gold = [frozenset(entity.status or ()) for document in documents for entity in document.entities]
    print(f"{len(documents)} documents, {len(gold)} mentions")
    print("| system | label | gold | precision | recall | F1 |\n|---|---|---|---|---|---|")
    for name, (labels, system) in systems().items():
        answers = [status for document in documents for status in system(document)]
        for label in labels:
            print(f"| {name} | {label} | {row(gold, answers, label)} |")
    classify, pieces = ConText(english()).classify, [segments(document.text) for document in documents]
    began, rounds = time.process_time(), 20
    for _ in range(rounds):
        for document, parts in zip(documents, pieces, strict=True):
            classify(parts, document.entities)
    print(f"{rounds * len(gold) / (time.process_time() - began):,.0f} mentions a second of one core")


def row(gold: Sequence[frozenset[str]], answers: Sequence[frozenset[str]], label: str) -> str:
    right = sum(label in g and label in a for g, a in zip(gold, answers, strict=True))
    given, wanted = sum(label in a for a in answers), sum(label in g for g in gold)
    ratios = (right / given if given else 0.0, right / wanted if wanted else 0.0)
    f1 = 2 * right / (given + wanted) if given + wanted else 0.0
    return f"{wanted} | {ratios[0]:.4f} | {ratios[1]:.4f} | {f1:.4f}"


def systems() -> dict[str, tuple[Sequence[str], System]]:
    context = ConText(english())

    def ours(document: Document) -> Told:
        told = context.classify(segments(document.text), document.entities)
        return [frozenset(entity.status or ()) for entity in told]

    labels: Sequence[str] = get_args(Status)
    result: dict[str, tuple[Sequence[str], System]] = {"dirag": (labels, ours)}
    if importlib.util.find_spec("medspacy"):
        result["medspaCy, cues"] = (labels, medspacy(sections=False))
        result["medspaCy, cues and sections"] = (labels, medspacy(sections=True))
    if importlib.util.find_spec("negspacy"):
        result["negspaCy"] = (["negated"], negspacy())
    return result


def medspacy(*, sections: bool) -> System:
    import medspacy as library

    language = library.load(enable={"medspacy_pyrush", "medspacy_context"})
    language.remove_pipe("medspacy_target_matcher")  # it would find mentions of its own
    if sections:
        language.add_pipe("medspacy_sectionizer")
    return lambda document: [
        frozenset(label for label in get_args(Status) if getattr(span._, f"is_{label}"))
        for span in spans(language, document, "medspacy_pyrush")
    ]


def negspacy() -> System:
    import spacy
    from negspacy.negation import Negex  # noqa: F401 - registers the component
    from negspacy.termsets import termset

    language = spacy.blank("en")
    language.add_pipe("sentencizer")
    language.add_pipe("negex", config={"neg_termset": termset("en_clinical").get_patterns()})
    return lambda document: [
        frozenset(["negated"] if span._.negex else []) for span in spans(language, document, "sentencizer")
    ]


def spans(language: Any, document: Document, splitter: str) -> Iterator[Any]:
    """Yields the mentions as spans of a document that went through the pipeline with them as its entities."""
    doc = language.get_pipe(splitter)(language.make_doc(document.text))
    mentions = [
        doc.char_span(e.start, e.end, label="MENTION", alignment_mode="expand") for e in document.entities
    ]
    doc.set_ents(_apart(mentions))
    for name, pipe in language.pipeline:
        doc = pipe(doc) if name != splitter else doc
    by_start = {token.i: span for span in doc.ents for token in span}
    yield from (by_start[mention.start] for mention in mentions)


def _apart(mentions: Sequence[Any]) -> list[Any]:
    """Returns the mentions that share no token: where two do, the first."""
    apart: list[Any] = []
    for mention in mentions:
        if not apart or mention.start >= apart[-1].end:
            apart.append(mention)
    return apart


if __name__ == "__main__":
    main()
