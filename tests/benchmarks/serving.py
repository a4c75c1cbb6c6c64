"""What ``--backend openai`` costs beside a bare client that does nothing but keep the server busy.

    python -m tests.benchmarks.serving [--documents N] [--parallel N] [--latency S] [--rounds N]
    python -m tests.benchmarks.serving --url URL [--model NAME] [--key-env NAME]

Both send the same bodies, few-shot prompts with a constraint each, over as many kept connections: the bare
client has them ready and throws the answers away; the engine spells them, reads the answers and checks them;
``tag`` is the whole flow from documents to results. Without a URL the server is scripted, in a process of
its own, where an answer takes ``--latency`` seconds. The ratio is the median of the rounds', in each of which
all three run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from itertools import cycle, islice
from threading import Lock, Thread
from urllib.parse import urlsplit

from dirag.answers.mentions import Mentions
from dirag.backends.http import codec
from dirag.backends.http.dialects import DIALECTS
from dirag.backends.http.remote import Remote
from dirag.data import Document, Prompt
from dirag.examples import builtin
from dirag.pipeline import tag
from dirag.prompting.augmentation import Augmenter
from dirag.prompting.builder import PromptBuilder, load_template
from dirag.taggers.llm import LlmTagger
from dirag.text.language import english

TYPES = ("disease", "chemical")
SHOTS = 8


class Fixed:
    """A selector that gives all texts the same examples."""

    def __init__(self, examples: Sequence[Document]) -> None:
        self._examples = list(examples)

    def select(self, texts: Sequence[str], *, k: int) -> list[list[Document]]:
        return [self._examples[:k] for _ in texts]


@contextmanager
def scripted(latency: float) -> Iterator[str]:
    """The address of a scripted server in its own process."""
    command = [sys.executable, "-m", "tests.scripted_server", "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def bare(url: str, path: str, bodies: Sequence[bytes], *, key: str | None, parallel: int) -> None:
    """Posts the bodies from ``parallel`` threads with a connection each."""
    rest, lock = iter(bodies), Lock()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})

    def work() -> None:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=600)
        while True:
            with lock:
                body = next(rest, None)
            if body is None:
                break
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            response.read()
            assert response.status == 200, f"status {response.status}"
        connection.close()

    threads = [Thread(target=work) for _ in range(parallel)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(args: argparse.Namespace, url: str, key: str | None) -> None:
    examples = list(builtin.documents())
    documents = list(islice(cycle(examples[SHOTS:]), args.documents))
    with closing(Remote(url, model=args.model, key=key, parallel=args.parallel, context=8192)) as engine:
        answer = Mentions(TYPES, english())
        builder = PromptBuilder(load_template("mentions"), answer, TYPES, engine.context, engine.count_tokens)
        built = [builder.build(document.text, examples=examples[:SHOTS])[0] for document in documents]
        prompts = [prompt for prompt in built if prompt is not None]
        bodies = [spelled(engine, prompt) for prompt in prompts]
        tagger = LlmTagger(engine, builder, augmenter=Augmenter(Fixed(examples), SHOTS))
        path = engine._client.address.api + codec.PATHS["completions"]
        runs: dict[str, Callable[[], object]] = {
            "bare client": lambda: bare(url, path, bodies, key=key, parallel=args.parallel),
            "engine": lambda: sum(1 for _ in engine.generate(prompts)),
            "tag": lambda: sum(1 for _ in tag(documents, tagger, as_sentences=True)),
        }
        list(engine.generate(prompts[: args.parallel]))
        rounds = [{name: timed(run) for name, run in runs.items()} for _ in range(args.rounds)]  # type: ignore[arg-type]
    report(rounds, len(prompts))


def spelled(engine: Remote, prompt: Prompt) -> bytes:
    dialect = engine._dialect
    assert dialect in DIALECTS.values()
    return codec.body(prompt, api="completions", model=engine._model, dialect=dialect, top=0)


def report(rounds: Sequence[dict[str, float]], requests: int) -> None:
    print("what          seconds  requests/s  ratio")
    for name in rounds[0]:
        seconds = statistics.median(each[name] for each in rounds)
        ratio = statistics.median(each[name] / each["bare client"] for each in rounds)
        print(f"{name:12}  {seconds:7.2f}  {requests / seconds:10.1f}  {ratio:5.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--parallel", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url", default="")
    parser.add_argument("--model", default="")
    parser.add_argument("--key-env", default="")
    args = parser.parse_args()
    if args.url:
        measure(args, args.url, os.environ[args.key_env] if args.key_env else None)
        return
    with scripted(args.latency) as url:
        measure(args, url, None)


if __name__ == "__main__":
    main()
