"""`dirag`, langextract and spacy-llm on the same sentences, examples, model and server, as one table.

    python -m tests.benchmarks.peers --url URL --model NAME [--limit N] [--shots N] [--seed N] [--parallel N]
        [--langextract-python PATH] [--spacy-llm-python PATH]

A peer lives in a virtual environment of its own, whose interpreter is named; without one it is left out:

    pip install 'langextract[openai]==1.7.1'
    pip install 'spacy-llm[langchain]==0.7.4' openai

Sentences are a seeded sample of the NCBI-disease test split, examples one of its train split, the same for
every tool, each of which writes its own prompts; the lines "nearest" are `dirag` with those that it chooses
from the whole split, "model alone" those without its lexicon. Every tool is a process that talks to the
server through a proxy, which counts. The server's prefix cache is emptied before each (vLLM takes that with
VLLM_SERVER_DEV_MODE=1, and tells "cached" tokens with --enable-prompt-tokens-details).

F1 is strict, on characters. "malformed" are answers that their tool could not read, or not all of: in `dirag`
those with an issue unparsed, truncated, unconstrained or failed; in langextract the chunks that it says to
omit; in spacy-llm those with lines that NER.v3 passes over. "unplaced" are mentions that were read and got no
place in the text, "cut" the answers that ended at their token limit, "other" the requests for no answer.
Documents a second are from the first request to the last answer; "process" is seconds with start and end.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Lock, Thread

from dirag.backends.http import address
from dirag.corpora import datasets
from dirag.data import Document, Entity
from dirag.evaluate.bootstrap import interval
from dirag.evaluate.scoring.score import score
from dirag.examples import pool
from dirag.formats import read

DATASET, TYPE = "ncbi-disease", "disease"
MALFORMED = {"unparsed", "truncated", "unconstrained", "failed"}
#: Tokens of an answer of a peer, at most; the longest gold answer of the sample takes 139 as JSON.
TOKENS = 256
#: Tokens of context for `dirag`, more than the server has: its own limit counts, as it does for the peers.
WHOLE = "1000000"


@dataclass(frozen=True, slots=True)
class Task:
    """What the script of a peer is given; ``examples`` are texts with their mentions."""

    url: str
    model: str
    type: str
    parallel: int
    tokens: int
    texts: Sequence[str]
    examples: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Found:
    """What a tool made of the sentences."""

    documents: Sequence[Document]
    malformed: int
    unplaced: int
    tool: str


@dataclass(slots=True)
class Traffic:
    """What went through the proxy; ``first`` and ``last`` are on the clock of ``time.perf_counter``."""

    answers: int = 0
    other: int = 0
    failed: int = 0
    cut: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    first: float = math.inf
    last: float = 0.0

    def add(self, path: str, status: int, content: bytes, start: float) -> None:
        self.failed += status != 200
        if not path.endswith("/completions"):
            self.other += 1
            return
        self.answers += 1
        self.first, self.last = min(self.first, start), time.perf_counter()
        if status == 200:
            answer = json.loads(content)
            usage = answer["usage"]
            self.prompt += usage["prompt_tokens"]
            self.cached += (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            self.completion += usage["completion_tokens"]
            self.cut += sum(choice["finish_reason"] == "length" for choice in answer["choices"])


class Proxy(ThreadingHTTPServer):
    """Hands each request on to the server, and counts."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream, self.traffic, self.lock = (host, port), Traffic(), Lock()
        Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the table is what is shown."""

    def do_GET(self) -> None:
        start = time.perf_counter()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with closing(HTTPConnection(*self.server.upstream, timeout=1200)) as upstream:
            upstream.request(self.command, self.path, body, {"Content-Type": "application/json"})
            response = upstream.getresponse()
            content = response.read()
        with self.server.lock:
            self.server.traffic.add(self.path, response.status, content, start)
        self.send_response(response.status)
        self.send_header("Content-Type", response.getheader("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET


def dirag(url: str, args: argparse.Namespace, options: Sequence[str]) -> Found:
    """`dirag eval` as a command, which draws the same sample itself."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dirag", "eval", "--dataset", DATASET, "--limit", str(args.limit)]
        command += ["--seed", str(args.seed), "--shots", str(args.shots), "--parallel", str(args.parallel)]
        command += ["--backend", "openai", "--base-url", url, "--model", args.model, "--context", WHOLE]
        command += ["--out", folder]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
        documents = list(read([str(Path(folder, "predictions.jsonl"))]))
    codes = [[issue.code for issue in document.issues] for document in documents]
    return Found(
        documents,
        malformed=sum(not MALFORMED.isdisjoint(each) for each in codes),
        unplaced=sum(each.count("invented") for each in codes),
        tool=f"dirag {version('dirag')}",
    )


def peer(url: str, task: Task, gold: Sequence[Document], name: str, python: str) -> Found:
    """The script of a peer, in its own interpreter; -P keeps the names of this folder from it."""
    command = [python, "-P", str(Path(__file__).with_name(f"peer_{name}.py"))]
    given = json.dumps(asdict(replace(task, url=f"{url}/v1")))
    ran = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=True)
    answer = json.loads(ran.stdout)
    documents = [
        replace(document, entities=tuple(Entity(a, b, TYPE, document.text[a:b]) for a, b in spans))
        for document, spans in zip(gold, answer["spans"], strict=True)
    ]
    return Found(documents, answer["malformed"], answer["unplaced"], answer["tool"])


def emptied(server: address.Address) -> bool:
    """Whether the server took the wish to forget the prompts that it has seen."""
    with closing(HTTPConnection(server.host, server.port, timeout=60)) as connection:
        connection.request("POST", f"{server.root}/reset_prefix_cache")
        return connection.getresponse().status == 200


def measure(name: str, gold: Sequence[Document], run: Callable[[str], Found], server: address.Address) -> str:
    """Prints one line of the table; the tool and its version."""
    warm = "" if emptied(server) else "  (prefix cache not emptied)"
    with closing(Proxy(server.host, server.port)) as proxy:
        start = time.perf_counter()
        found = run(f"http://127.0.0.1:{proxy.server_port}{server.root}")
        seconds = time.perf_counter() - start
        seen = proxy.traffic
    scored = score(gold, found.documents, types=[TYPE])
    micro, (low, high) = scored.micro, interval(scored.of("strict").per_document)
    print(
        f"{name:27}  {micro.f1:5.3f}  {low:5.3f}-{high:5.3f}  {micro.precision:5.3f}  {micro.recall:5.3f}"
        f"  {found.malformed:9}  {found.unplaced:8}  {seen.cut:4}  {seen.answers:8}  {seen.other:5}"
        f"  {seen.failed:6}  {seen.prompt:7}  {seen.cached:7}  {seen.completion:7}"
        f"  {len(gold) / (seen.last - seen.first):6.2f}  {seconds:7.1f}{warm}",
        flush=True,
    )
    return found.tool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--shots", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=32)
    parser.add_argument("--langextract-python")
    parser.add_argument("--spacy-llm-python")
    args = parser.parse_args()
    server = address.parse(args.url)
    test, train = (datasets.load(DATASET, split=split).documents for split in ("test", "train"))
    gold = datasets.sample(test, args.limit, seed=args.seed)
    examples = datasets.sample(train, args.shots, seed=args.seed)
    task = Task(
        url="",
        model=args.model,
        type=TYPE,
        parallel=args.parallel,
        tokens=TOKENS,
        texts=[document.text for document in gold],
        examples=[(e.text, [entity.text for entity in e.entities]) for e in examples],
    )
    runs: list[tuple[str, Callable[[str], Found]]] = []
    with tempfile.TemporaryDirectory() as folder:
        same = str(Path(folder, "examples"))
        pool.build(examples, Path(same), embedder=None, as_sentences=True)
        for name, python in (("langextract", args.langextract_python), ("spacy_llm", args.spacy_llm_python)):
            if python:
                runs.append((name, partial(peer, task=task, gold=gold, name=name, python=python)))
            else:
                print(f"{name} is left out: no interpreter was named")
        for name, options in (
            ("dirag", ["--pool", same]),
            ("dirag, model alone", ["--pool", same, "--no-lexicon"]),
            ("dirag, nearest", []),
            ("dirag, nearest, model alone", ["--no-lexicon"]),
        ):
            runs.append((name, partial(dirag, args=args, options=options)))
        print(
            "tool                            F1          95%      P      R  malformed  unplaced   cut"
            "  requests  other  failed   prompt   cached   answer  docs/s  process"
        )
        tools = [measure(name, gold, run, server) for name, run in runs]
    print(", ".join(dict.fromkeys(tools)))


if __name__ == "__main__":
    main()
