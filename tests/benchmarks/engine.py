"""Speed of the embedded llama.cpp: slots, with and without the copy constraint, as one table.

    python -m tests.benchmarks.engine WEIGHTS.gguf CORPUS [--limit N] [--shots N] [--threads N]

Prompts: each of the first N documents of the corpus (of at most 400 characters) after some of those that
follow, as examples. Tokens a second are those computed: of prompts, less the cached ones, and of answers.
``same`` is the share of answers equal to those of one slot.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from dirag.answers.mentions import Mentions
from dirag.backends.llamacpp import LlamaCpp
from dirag.data import Completion, Document, Prompt, Usage
from dirag.formats import read

SLOTS = (1, 2, 4, 8)


def prompts(documents: Sequence[Document], *, limit: int, shots: int) -> list[Prompt]:
    """Few-shot prompts whose examples change from one to the next, as with nearest neighbours."""
    types = tuple(sorted({entity.type for document in documents for entity in document.entities}))
    answer = Mentions(types)
    written = [
        f"Text: {document.text}\nEntities: {answer.render(document.text, document.entities)}\n\n"
        for document in documents
    ]
    return [
        Prompt(
            "List the entities of each text.\n\n"
            + "".join(written[limit + (i + j) % (len(written) - limit)] for j in range(shots))
            + f"Text: {documents[i].text}\nEntities:",
            answer.stop,
            48,
            answer.constrain(documents[i].text),
        )
        for i in range(limit)
    ]


def run(
    weights: Path, work: Sequence[Prompt], *, slots: int, threads: int | None
) -> tuple[list[Completion], float]:
    engine = LlamaCpp(weights, context=2048, parallel=slots, threads=threads)
    list(engine.generate(work[:1]))
    start = time.perf_counter()
    completions = list(engine.generate(work))
    seconds = time.perf_counter() - start
    engine.close()
    return completions, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("weights", type=Path)
    parser.add_argument("corpus")
    parser.add_argument("--limit", type=int, default=32)
    parser.add_argument("--shots", type=int, default=4)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    short = (document for document in read([args.corpus]) if len(document.text) <= 400)
    documents = list(islice(short, 3 * args.limit))
    if len(documents) <= args.limit:
        parser.error(f"{args.corpus} has {len(documents)} short documents; --limit must be lower")
    constrained = prompts(documents, limit=args.limit, shots=args.shots)
    free = [replace(prompt, constraint=None) for prompt in constrained]
    print("constraint  slots  seconds  sentences/s  tokens/s  prompt  answer  cached  failed  same")
    for name, work in (("free", free), ("copy", constrained)):
        alone: list[str] = []
        for slots in SLOTS:
            completions, seconds = run(args.weights, work, slots=slots, threads=args.threads)
            texts = [completion.text for completion in completions]
            alone = alone or texts
            usage = sum((completion.usage for completion in completions), Usage())
            computed = usage.prompt - usage.cached + usage.completion
            failed = sum(completion.finish == "failed" for completion in completions)
            same = sum(a == b for a, b in zip(alone, texts, strict=True)) / len(texts)
            print(
                f"{name:10}  {slots:5}  {seconds:7.1f}  {len(work) / seconds:11.2f}  "
                f"{computed / seconds:8.0f}  {usage.prompt:6}  {usage.completion:6}  "
                f"{usage.cached:6}  {failed:6}  {same:4.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
