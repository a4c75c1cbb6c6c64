"""Speed of the embedded engines, with and without the copy constraint, as one table.

    python -m tests.benchmarks.engine WEIGHTS.gguf CORPUS [--limit N] [--shots N] [--threads N]
        [--engines llamacpp:1,openvino:64,vllm:256] [--vllm FOLDER]

An engine is named with the number of prompts it works on at a time; vLLM reads its weights from a folder.

Prompts: each of the first N documents of the corpus (of at most 400 characters) after some of those that
follow, as examples. Tokens a second are those computed: of prompts, less the cached ones, and of answers.
``same`` is the share of answers equal to those of the same engine where it is named first.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

from dirag.answers.mentions import Mentions
from dirag.backends.llamacpp.engine import LlamaCpp
from dirag.backends.openvino.engine import OpenVino
from dirag.backends.vllm.engine import Vllm
from dirag.data import Completion, Document, Prompt, Usage
from dirag.formats import read
from dirag.protocols import Backend
from dirag.text.language import english

#: On a CPU vLLM takes nine tenths of all memory for prompts, and the rest may be too little.
VLLM = ("enforce_eager=true", f"kv_cache_memory_bytes={2 << 30}")
DEFAULT = "llamacpp:1,openvino:1,openvino:16,openvino:64"


def opened(name: str, slots: int, args: argparse.Namespace) -> Backend:
    if name == "vllm":
        return Vllm(args.vllm, context=2048, parallel=slots, options=VLLM)
    kind = LlamaCpp if name == "llamacpp" else OpenVino
    return kind(args.weights, context=2048, parallel=slots, threads=args.threads)


def prompts(documents: Sequence[Document], *, limit: int, shots: int) -> list[Prompt]:
    """Few-shot prompts whose examples change from one to the next, as with nearest neighbours."""
    types = tuple(sorted({entity.type for document in documents for entity in document.entities}))
    answer = Mentions(types, english())
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


def measured(engine: Backend, work: Sequence[Prompt]) -> tuple[list[Completion], float]:
    list(engine.generate(work[:8]))
    start = time.perf_counter()
    completions = list(engine.generate(work))
    return completions, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("weights", type=Path)
    parser.add_argument("corpus")
    parser.add_argument("--limit", type=int, default=32)
    parser.add_argument("--shots", type=int, default=4)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--engines", default=DEFAULT)
    parser.add_argument("--vllm", type=Path)
    args = parser.parse_args()
    short = (document for document in read([args.corpus]) if len(document.text) <= 400)
    documents = list(islice(short, args.limit + max(args.limit, args.shots)))
    if len(documents) <= args.limit:
        parser.error(f"{args.corpus} has {len(documents)} short documents; --limit must be lower")
    constrained = prompts(documents, limit=args.limit, shots=args.shots)
    free = [replace(prompt, constraint=None) for prompt in constrained]
    print(
        "engine    parallel  constraint  seconds  sentences/s  tokens/s  prompt  answer  cached  failed  same"
    )
    alone: dict[tuple[str, str], list[str]] = {}
    for name, slots in (engine.split(":") for engine in args.engines.split(",")):
        for constraint, work in (("free", free), ("copy", constrained)):
            with closing(opened(name, int(slots), args)) as engine:  # with no prompt in its cache
                completions, seconds = measured(engine, work)
                texts = [completion.text for completion in completions]
                first = alone.setdefault((constraint, name), texts)
                usage = sum((completion.usage for completion in completions), Usage())
                computed = usage.prompt - usage.cached + usage.completion
                failed = sum(completion.finish == "failed" for completion in completions)
                same = sum(a == b for a, b in zip(first, texts, strict=True)) / len(work)
                print(
                    f"{name:8}  {slots:>8}  {constraint:10}  {seconds:7.1f}  {len(work) / seconds:11.2f}"
                    f"  {computed / seconds:8.0f}  {usage.prompt:6}  {usage.completion:6}  {usage.cached:6}"
                    f"  {failed:6}  {same:4.0%}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
