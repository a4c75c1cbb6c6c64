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


def text(made: PreparedTraining, progress: Progress, *, total: int, files: Mapping[str, str]) -> str:
    """The card in Markdown; ``files`` are those of the adapter with their sha256."""
    return "\n".join(_lines(made, progress, total, files)) + "\n"


def _lines(made: PreparedTraining, progress: Progress, total: int, files: Mapping[str, str]) -> Iterator[str]:
    types = dict.fromkeys(t for corpus in made.corpora for t in corpus.types)
    recipe = made.recipe
    yield _HEAD.format(base=recipe.model)
    yield f"Finds {', '.join(types)}. Made with `{recipe.command}` by {_list(made.versions())}."
    yield f"\n## Base model\n\n{recipe.model}, sha256 {made.sha256}"
    if made.start:
        yield f"\nBegun with the adapter {recipe.start}, sha256 {fingerprint.digest(made.start)}"
    yield "\n## Training data\n"
    yield _table("corpus", "split", "sentences", "lessons of each", "entities", "licence", "files, sha256")
    yield "|---" * 7 + "|"
    yield from map(_row, made.corpora)
    for corpus in made.corpora:
        if lost := corpus.pool.manifest.left_out:
            yield f"\nLeft out of {corpus.dataset.name}: {_list(lost)}."
    yield f"\n{made.lessons.left_out:,} lessons were left out because their prompt would not fit."
    yield f"{made.lessons.tested:,} are of sentences that stand in a test split of these corpora: left out."
    chosen = {k: v for k, v in asdict(recipe.config).items() if v != getattr(Config(), k)}
    told = json.dumps(chosen | asdict(recipe.settings), indent=1)
    yield f"\n## Settings\n\n```json\n{told}\n```"
    yield "\n## Course\n"
    seen = f"{progress.position.seen:,} of {total:,} lessons"
    yield f"{seen}, {progress.steps:,} steps, {progress.tokens:,} tokens."
    if made.held:
        yield from _validations(made.held, progress)
    yield "\n## Files\n"
    yield from (f"- {name}: sha256 {digest}" for name, digest in files.items())


def _row(corpus: Corpus) -> str:
    dataset, manifest = corpus.dataset, corpus.pool.manifest
    entities = _list({t: manifest.types[t] for t in corpus.types})
    split, sentences, files = dataset.split or "all", f"{manifest.examples:,}", _list(dataset.sha256)
    times = str(corpus.times)
    return _table(dataset.name, split, sentences, times, entities, dataset.licence, files)


def _validations(held: Sequence[HeldOut], progress: Progress) -> Iterator[str]:
    numbers = _list({f"{each.name} devel": len(each.sentences) for each in held})
    yield f"\nStrict F1 on held-out sentences ({numbers}), in prompts without examples and concept lines:\n"
    names = [each.name for each in held]
    yield _table("lessons", "loss", *names, "mean", "")
    yield "|---" * (len(names) + 4) + "|"
    for found in progress.validations:
        figures = [f"{found.f1[name]:.3f}" for name in names]
        kept = "kept" if found == progress.best else ""
        yield _table(f"{found.seen:,}", f"{found.loss:.4f}", *figures, f"{found.mean:.3f}", kept)


def _table(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _list(pairs: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in pairs.items())
