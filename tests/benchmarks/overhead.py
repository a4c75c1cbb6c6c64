"""What `dirag` adds to vLLM: its flow beside a bare ``LLM.generate`` over the same tokens and constraints.

    python -m tests.benchmarks.overhead MODEL_FOLDER CORPUS POOL [--limit N] [--shots N] [--rounds N]

All on one engine, whose prefix cache is emptied before each run; a first run, not counted, compiles the
grammars. "bare" has its tokens, parameters and grammars ready; "engine" gets prompts, "tagger" segments, for
which it selects examples, builds prompts and reads answers; "tag" is the whole flow from documents to
results. The ratio is the median of the rounds', in each of which all four run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from unittest.mock import patch

from dirag import answers
from dirag.backends.vllm import start as vllm_start
from dirag.backends.vllm.engine import Vllm, parameters
from dirag.data import Document, Prompt, Segment
from dirag.examples import selection
from dirag.examples.pool import Pool
from dirag.formats import read
from dirag.pipeline import tag
from dirag.prompting.augmentation import Augmenter
from dirag.prompting.builder import PromptBuilder, load_template
from dirag.taggers.llm import LlmTagger


def timed(work: Callable[[], object], before: Callable[[], object]) -> float:
    before()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(args: argparse.Namespace, documents: Sequence[Document], pool: Pool) -> None:
    from vllm import LLM

    given = {"enforce_eager": True, "max_model_len": args.context}
    llm = LLM(**vllm_start.arguments(args.folder, adapter=None, top=0, given=given))
    llm.llm_engine.collective_rpc("keep_raw_probabilities")
    with patch.object(vllm_start, "start", return_value=llm.llm_engine):
        engine = Vllm(args.folder, context=args.context)
    types = tuple(sorted(pool.manifest.types))
    answer = answers.make("mentions", types)
    builder = PromptBuilder(load_template("mentions"), answer, types, engine.context, engine.count_tokens)
    selector = selection.make("bm25", pool, embedder=None, seed=0)
    chosen = selector.select([document.text for document in documents], k=args.shots)
    pairs = zip(documents, chosen, strict=True)
    built = [builder.build(document.text, examples=examples)[0] for document, examples in pairs]
    prompts: list[Prompt] = [prompt for prompt in built if prompt is not None]
    tokens = [{"prompt_token_ids": engine._tokenizer.encode(prompt.text)} for prompt in prompts]
    params = [parameters(prompt, most=prompt.max_tokens, top=0) for prompt in prompts]
    tagger = LlmTagger(engine, builder, augmenter=Augmenter(selector, args.shots))
    segments = [Segment(0, document.text, number) for number, document in enumerate(documents)]
    runs: dict[str, Callable[[], object]] = {
        "bare": lambda: llm.generate(tokens, params, use_tqdm=False),
        "engine": lambda: list(engine.generate(prompts)),
        "tagger": lambda: list(tagger.tag(segments)),
        "tag": lambda: list(tag(documents, tagger, as_sentences=True)),
    }
    empty = llm.llm_engine.reset_prefix_cache
    timed(runs["bare"], empty)
    rounds = []
    for number in range(args.rounds):
        order = list(runs)[:: 1 if number % 2 else -1]
        seconds = {name: timed(runs[name], empty) for name in order}
        rounds.append({name: seconds[name] for name in runs})
    report(rounds, len(prompts))
    engine.close()


def report(rounds: Sequence[dict[str, float]], sentences: int) -> None:
    print("what    seconds  sentences/s  ratio")
    for name in rounds[0]:
        seconds = statistics.median(each[name] for each in rounds)
        ratio = statistics.median(each[name] / each["bare"] for each in rounds)
        print(f"{name:6}  {seconds:7.2f}  {sentences / seconds:11.1f}  {ratio:5.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("corpus")
    parser.add_argument("pool")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--shots", type=int, default=2)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    documents = list(islice(read([args.corpus]), args.limit))
    pool = Pool.from_documents(read([args.pool]), sources=[args.pool], licence=None, as_sentences=True)
    measure(args, documents, pool)


if __name__ == "__main__":
    main()
