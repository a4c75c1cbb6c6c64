"""What the copy constraint costs in vLLM: to compile a sentence's grammar, to mask, and in throughput.

    python -m tests.benchmarks.constraints MODEL_FOLDER CORPUS [--limit N] [--answer NAME] [--engine]

Compiled as vLLM does it, by each of its libraries, one grammar a sentence and none twice; "mask" is the mean
over the tokens of the gold answer. With ``--engine`` the sentences are also answered, free and bound, once
with each library in vLLM.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

from dirag import answers
from dirag.backends.vllm.engine import Vllm
from dirag.data import Document, Prompt
from dirag.formats import read
from dirag.protocols import AnswerFormat

OPTIONS = ("enforce_eager=true", f"kv_cache_memory_bytes={2 << 30}")


class Xgrammar:
    """The compiler of vLLM's default library, with its cache off."""

    def __init__(self, folder: Path) -> None:
        import xgrammar
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        size = len(self.tokenizer)
        info = xgrammar.TokenizerInfo.from_huggingface(self.tokenizer, vocab_size=size)
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=8, cache_enabled=False)
        self._mask = xgrammar.allocate_token_bitmask(1, size)

    def compile(self, grammar: str) -> tuple[Callable[[], object], Callable[[int], bool]]:
        import xgrammar

        matcher = xgrammar.GrammarMatcher(self._compiler.compile_grammar(grammar))
        return lambda: matcher.fill_next_token_bitmask(self._mask, 0), matcher.accept_token


class Guidance:
    """The compiler of llguidance."""

    def __init__(self, folder: Path) -> None:
        import llguidance.hf
        import llguidance.torch
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._known = llguidance.hf.from_tokenizer(self.tokenizer, len(self.tokenizer))
        self._mask = llguidance.torch.allocate_token_bitmask(1, self._known.vocab_size)

    def compile(self, grammar: str) -> tuple[Callable[[], object], Callable[[int], bool]]:
        import llguidance
        import llguidance.torch

        spelled = llguidance.grammar_from("grammar", grammar)
        matcher = llguidance.LLMatcher(self._known, spelled, log_level=0)
        return (
            lambda: llguidance.torch.fill_next_token_bitmask(matcher, self._mask, 0),
            lambda token: bool(matcher.consume_token(token)),
        )


LIBRARIES: dict[str, type[Xgrammar] | type[Guidance]] = {"xgrammar": Xgrammar, "guidance": Guidance}


def compiled(name: str, folder: Path, answer: AnswerFormat, documents: Sequence[Document]) -> None:
    library = LIBRARIES[name](folder)
    compiling, masking, refused = [], [], 0
    for document in documents:
        grammar = answer.constrain(document.text).gbnf()
        written = f" {answer.render(document.text, document.entities)}\n"
        start = time.perf_counter()
        mask, accept = library.compile(grammar)
        compiling.append(1e3 * (time.perf_counter() - start))
        for token in library.tokenizer.encode(written, add_special_tokens=False):
            start = time.perf_counter()
            mask()
            masking.append(1e3 * (time.perf_counter() - start))
            if not accept(token):
                refused += 1
                break
    print(
        f"{name:9}  {statistics.mean(compiling):10.1f}  {statistics.median(compiling):8.1f}  "
        f"{max(compiling):8.1f}  {statistics.mean(masking):7.2f}  {max(masking):7.1f}  {refused:7}",
        flush=True,
    )


def answered(name: str, folder: Path, work: Sequence[Prompt]) -> None:
    options = (*OPTIONS, f'structured_outputs_config={{"backend":"{name}"}}')
    with closing(Vllm(folder, context=1024, options=options)) as engine:
        list(engine.generate(work[:8]))
        for what, prompts in (("free", [replace(p, constraint=None) for p in work]), ("bound", work)):
            start = time.perf_counter()
            completions = list(engine.generate(prompts))
            seconds = time.perf_counter() - start
            tokens = sum(completion.usage.completion for completion in completions)
            print(f"{name:9}  {what:5}  {seconds:7.1f}  {len(work) / seconds:11.1f}  {tokens:13}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("corpus")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--answer", default="mentions")
    parser.add_argument("--engine", action="store_true")
    args = parser.parse_args()
    documents = list(islice(read([args.corpus]), args.limit))
    types = tuple(sorted({entity.type for document in documents for entity in document.entities}))
    answer = answers.make(args.answer, types)
    print("library    compile ms    median       max  mask ms      max  refused")
    for name in LIBRARIES:
        compiled(name, args.folder, answer, documents)
    if not args.engine:
        return
    work = [
        Prompt(f"Text: {d.text}\nDiseases:", answer.stop, 32, answer.constrain(d.text)) for d in documents
    ]
    print("library    what   seconds  sentences/s  answer tokens")
    for name in LIBRARIES:
        answered(name, args.folder, work)


if __name__ == "__main__":
    main()
