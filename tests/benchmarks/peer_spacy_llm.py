"""spacy-llm, in an interpreter that has it: a ``peers.Task`` on standard input, what it found on the output.

The task NER.v3, greedy, on LangChain's client of the completions API: spacy-llm's own client of OpenAI asks
api.openai.com whether it knows the model, whatever its endpoint is. It asks for one answer at a time, so that
as many processes share the sentences as there may be requests in flight.
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import spacy
from spacy.tokens import Doc
from spacy_llm.tasks.span.examples import SpanReason


def example(kind: str, text: str, mentions: list[str]) -> dict[str, Any]:
    """An example as v3 takes it, which drops those without a line: these get one of what is no mention."""
    lines = [
        {"text": mention, "is_entity": True, "label": kind, "reason": f"is a {kind}"} for mention in mentions
    ]
    longest = max(text.split(), key=len)
    none = {"text": longest, "is_entity": False, "label": "==NONE==", "reason": f"is not a {kind}"}
    return {"text": text, "spans": lines or [none]}


def pipeline(task: dict[str, Any], examples: Path) -> spacy.Language:
    nlp = spacy.blank("en")
    model = {
        "@llm_models": "langchain.VLLMOpenAI.v1",
        "name": task["model"],
        "config": {
            "openai_api_base": task["url"],
            "openai_api_key": "none",
            "temperature": 0.0,
            "max_tokens": task["tokens"],
            "model_kwargs": {"stop": ["\n\n"]},
        },
    }
    reader = {"@misc": "spacy.FewShotReader.v1", "path": str(examples)}
    ner = {"@llm_tasks": "spacy.NER.v3", "labels": [task["type"]], "examples": reader}
    nlp.add_pipe("llm", config={"task": ner, "model": model, "save_io": True})
    return nlp


def read(document: Doc, kind: str) -> tuple[int, int]:
    """How many lines of its answer v3 cannot read, and how many of those that it can name a mention."""
    [answer] = document.user_data["llm_io"]["llm"]["response"]
    unread, mentions = 0, 0
    for line in filter(str.strip, answer.split("\n")):
        try:
            reason = SpanReason.from_str(line)
            mentions += reason.is_entity and reason.label.lower() == kind
        except ValueError:
            unread += 1
    return unread, mentions


def main() -> None:
    task = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "examples.json")
        path.write_text(json.dumps([example(task["type"], *each) for each in task["examples"]]))
        nlp = pipeline(task, path)
    documents = list(nlp.pipe(task["texts"], n_process=task["parallel"], batch_size=1))
    lines = [read(document, task["type"]) for document in documents]
    found = {
        "spans": [[(span.start_char, span.end_char) for span in document.ents] for document in documents],
        "unplaced": sum(mentions for _, mentions in lines) - sum(len(d.ents) for d in documents),
        "malformed": sum(unread > 0 for unread, _ in lines),
        "tool": f"spacy-llm {version('spacy-llm')}",
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
