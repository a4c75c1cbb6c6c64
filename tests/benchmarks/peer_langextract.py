"""langextract, in an interpreter that has it: a ``peers.Task`` on standard input, what it found on output.

Its OpenAI provider, greedy, held to the schema that it makes of its examples. A penalty keeps a small model
from repeating an item until its answer is cut: of 40 sentences of the development split, 30 answers do not
parse without it and none with it. Its check of the examples is off: it fails on one without mentions.
"""

from __future__ import annotations

import json
import logging
import sys
from importlib.metadata import version

import langextract as lx
from langextract.factory import ModelConfig
from langextract.prompt_validation import PromptValidationLevel


class Omitted(logging.Handler):
    """Counts the answers that langextract says it leaves out."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage().startswith("Chunk omitted from results")


def main() -> None:
    task = json.load(sys.stdin)
    omitted = Omitted()
    logging.getLogger("absl").addHandler(omitted)
    config = ModelConfig(
        model_id=task["model"],
        provider="OpenAILanguageModel",
        provider_kwargs={
            "base_url": task["url"],
            "api_key": "none",
            "temperature": 0.0,
            "frequency_penalty": 0.6,
            "max_output_tokens": task["tokens"],
            "max_workers": task["parallel"],
        },
    )
    answered = lx.extract(
        [lx.data.Document(text, document_id=str(i)) for i, text in enumerate(task["texts"])],
        prompt_description=(
            f"Extract the {task['type']} mentions in order of appearance. "
            "Use exact text for extractions. Do not paraphrase or overlap entities."
        ),
        examples=[
            lx.data.ExampleData(text, [lx.data.Extraction(task["type"], mention) for mention in mentions])
            for text, mentions in task["examples"]
        ],
        config=config,
        max_char_buffer=max(map(len, task["texts"])),
        batch_length=len(task["texts"]),
        max_workers=task["parallel"],
        prompt_validation_level=PromptValidationLevel.OFF,
        show_progress=False,
    )
    places = [[extraction.char_interval for extraction in document.extractions] for document in answered]
    found = {
        "spans": [[(place.start_pos, place.end_pos) for place in each if place] for each in places],
        "unplaced": sum(each.count(None) for each in places),
        "malformed": omitted.count,
        "tool": f"langextract {version('langextract')}",
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
