"""The card of an adapter: what it finds, what it was made of, how good it is; no text of a corpus."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from dirag.config import Config
from dirag.files import fingerprint
from dirag.training.adapter.spec import PreparedTraining
from dirag.training.adapter.trainer import Progress
from dirag.training.adapter.training_examples import Corpus
from dirag.training.adapter.validation import HeldOut

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
    types = dict.fromkeys(type_ for corpus in prepared.corpora for type_ in corpus.types)
    yield _HEAD.format(base=spec.model)
    yield f"Finds {', '.join(types)}. Made with `{spec.command}` by {_list(prepared.versions())}."
    yield f"\n## Base model\n\n{spec.model}, sha256 {prepared.sha256}"
    if prepared.start:
        yield f"\nBegun with the adapter {spec.start}, sha256 {fingerprint.digest(prepared.start)}"
    yield "\n## Training data\n"
    yield from _training_data(prepared)
    changed = {k: v for k, v in asdict(spec.config).items() if v != getattr(Config(), k)}
    settings = json.dumps(changed | asdict(spec.settings), indent=1)
    yield f"\n## Settings\n\n```json\n{settings}\n```"
    yield "\n## Course\n"
    seen = f"{progress.position.seen:,} of {total:,} lessons"
    yield f"{seen}, {progress.steps:,} steps, {progress.tokens:,} tokens."
    if prepared.held_out:
        yield from _validations(prepared.held_out, progress)
    yield "\n## Files\n"
    yield from (f"- {name}: sha256 {digest}" for name, digest in files.items())


def _training_data(prepared: PreparedTraining) -> Iterator[str]:
    yield _table("corpus", "split", "sentences", "lessons of each", "entities", "licence", "files, sha256")
    yield "|---" * 7 + "|"
    yield from map(_row, prepared.corpora)
    for corpus in prepared.corpora:
        if left_out := corpus.pool.manifest.left_out:
            yield f"\nLeft out of {corpus.dataset.name}: {_list(left_out)}."
    examples = prepared.training_examples
    yield f"\n{examples.left_out:,} lessons were left out because their prompt would not fit."
    yield f"{examples.tested:,} are of sentences that stand in a test split of these corpora: left out."


def _row(corpus: Corpus) -> str:
    dataset, manifest = corpus.dataset, corpus.pool.manifest
    entities = _list({type_: manifest.types[type_] for type_ in corpus.types})
    split, sentences, files = dataset.split or "all", f"{manifest.examples:,}", _list(dataset.sha256)
    return _table(dataset.name, split, sentences, str(corpus.times), entities, dataset.licence, files)


def _validations(held_out: Sequence[HeldOut], progress: Progress) -> Iterator[str]:
    numbers = _list({f"{corpus.name} devel": len(corpus.sentences) for corpus in held_out})
    yield f"\nStrict F1 on held-out sentences ({numbers}), in prompts without examples and concept lines:\n"
    names = [corpus.name for corpus in held_out]
    yield _table("lessons", "loss", *names, "mean", "")
    yield "|---" * (len(names) + 4) + "|"
    for validation in progress.validations:
        figures = [f"{validation.f1[name]:.3f}" for name in names]
        figures.append(f"{validation.mean:.3f}")
        mark = "kept" if validation == progress.best else ""
        yield _table(f"{validation.seen:,}", f"{validation.loss:.4f}", *figures, mark)


def _table(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _list(pairs: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in pairs.items())
