"""The card of an adapter: what it finds, what it was made of, how good it is; no text of a corpus."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from dirag.config import Config
from dirag.files import fingerprint
from dirag.training import card
from dirag.training.adapter.spec import PreparedTraining
from dirag.training.trainer import Progress

_HEAD = """---
base_model: {base}
library_name: peft
tags: [lora, named-entity-recognition, biomedical]
---

# LoRA adapter for `dirag`
"""


def text(prepared: PreparedTraining, progress: Progress, *, total: int, files: Mapping[str, str]) -> str:
    """Returns the card in Markdown; ``files`` are those of the adapter with their sha256."""
    return "\n".join(_lines(prepared, progress, total, files)) + "\n"


def _lines(
    prepared: PreparedTraining, progress: Progress, total: int, files: Mapping[str, str]
) -> Iterator[str]:
    spec = prepared.spec
    types = dict.fromkeys(type_ for corpus in prepared.data.corpora for type_ in corpus.types)
    yield _HEAD.format(base=spec.model)
    yield f"Finds {', '.join(types)}. Made with `{spec.command}` by {card.listed(prepared.versions())}."
    yield f"\n## Base model\n\n{spec.model}, sha256 {prepared.sha256}"
    if prepared.start:
        yield f"\nBegun with the adapter {spec.start}, sha256 {fingerprint.digest(prepared.start)}"
    yield "\n## Training data\n"
    yield from card.training_data(prepared.data.corpora)
    examples = prepared.training_examples
    yield f"\n{examples.left_out:,} training examples were left out because their prompt would not fit."
    yield f"{examples.tested:,} are of sentences that stand in a test split of these corpora: left out."
    changed = {k: v for k, v in asdict(spec.config).items() if v != getattr(Config(), k)}
    settings = json.dumps(changed | asdict(spec.settings), indent=1)
    yield f"\n## Settings\n\n```json\n{settings}\n```"
    yield "\n## Training\n"
    seen = f"{progress.position.seen:,} of {total:,} training examples"
    yield f"{seen}, {progress.steps:,} steps, {progress.tokens:,} tokens."
    if held_out := prepared.data.held_out:
        yield from card.validations(held_out, progress, how="in prompts without examples and concept lines")
    yield "\n## Files\n"
    yield from (f"- {name}: sha256 {digest}" for name, digest in files.items())
