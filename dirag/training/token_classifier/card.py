"""The card of a token classifier: what it finds, what it was made of, how good it is; no text of a corpus."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from dirag.training import card
from dirag.training.token_classifier.spec import PreparedClassifier
from dirag.training.trainer import Progress

_HEAD = """---
base_model: {base}
library_name: transformers
pipeline_tag: token-classification
tags: [token-classification, named-entity-recognition, biomedical]
---

# Token classifier for `dirag`
"""


def text(
    prepared: PreparedClassifier, progress: Progress, *, total: int, files: Mapping[str, str], notes: str = ""
) -> str:
    """Returns the card in Markdown; ``files`` are those of the model with their sha256."""
    return "\n".join(_lines(prepared, progress, total, files, notes)) + "\n"


def _lines(
    prepared: PreparedClassifier, progress: Progress, total: int, files: Mapping[str, str], notes: str
) -> Iterator[str]:
    spec, sentences = prepared.spec, prepared.sentences
    yield _HEAD.format(base=spec.config.encoder)
    versions = card.listed(prepared.versions())
    yield f"Finds {', '.join(sentences.types)}. Made with `{spec.command}` by {versions}."
    yield f"\n## Encoder\n\n{spec.config.encoder}, sha256 {prepared.sha256}"
    yield "\n## Training data\n"
    yield from card.training_data(prepared.data.corpora)
    yield f"\n{sentences.left_out:,} training examples were left out because they are too long."
    yield f"{sentences.tested:,} are of sentences that stand in a test split of these corpora: left out."
    yield "\nOf a type that its corpus does not annotate a sentence gives no loss."
    if spec.separate:
        yield f"Labels of their own, for guides that mean other things: {', '.join(spec.separate)}."
    settings = json.dumps({"seed": spec.config.seed} | asdict(spec.settings), indent=1)
    yield f"\n## Settings\n\n```json\n{settings}\n```"
    yield "\n## Training\n"
    yield f"{progress.position.seen:,} of {total:,} training examples, {progress.steps:,} steps, "
    yield f"{progress.tokens:,} tokens."
    if held_out := prepared.data.held_out:
        yield from card.validations(held_out, progress, how="read sentence by sentence")
    if notes:
        yield f"\n{notes}"
    yield "\n## Files\n"
    yield from (f"- {name}: sha256 {digest}" for name, digest in files.items())
