"""A run of `dirag tag -o FILE --resume` that is killed again and again: is the file what one run writes?

    DIRAG_DATA=DIR python -m tests.benchmarks.kills [--kills N] [--documents N] [--seed N] [--jobs NAME,…]

Each job is done once without a kill, then with SIGKILLs at random moments, drawn so that on average an equal
part of the documents is done between two of them. Jobs: "openvino" (sentences of NCBI-disease, the default
model, no examples; killed while it starts, too), "server" (a scripted server that takes 20 ms an answer, four
in flight), "cache" (the same with ``--cache``), "dictionary" (no model; up to twice the kills, and records of
200 kB, so that some fall into a write).

A document is finished when its whole record stands in the file. "sent" counts the requests that the engine
took, or that came in at the server; "again" those that had been sent before, and were in work when a kill
came; "finished" those for documents that were finished when the run began: it must be 0. "working" counts the
kills that came after the first new record of a run, "torn" those that left a part of a record. "once" is the
run without a kill: its requests, its seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dirag.backends.cached.replay import request_key
from dirag.corpora import datasets
from dirag.data import Completion, Prompt
from dirag.protocols import Backend
from dirag.text.segment import segments

JOBS = ("openvino", "server", "cache", "dictionary")
BARE = ("--types", "disease", "--kb", "none", "--shots", "0", "--no-lexicon")
PADDING = 200_000  # characters
COLUMNS = (
    *("job", "documents", "kills", "working", "torn", "runs", "once sent", "sent", "again", "finished"),
    *("bytes", "once s", "s"),
)
LAST = 0.02  # of the documents, for the run after the last kill


class Logged:
    """Passes prompts on to an engine and notes each in a file before the engine has it."""

    def __init__(self, backend: Backend, log: Path) -> None:
        self._backend, self._log = backend, log
        self.name, self.context = backend.name, backend.context

    def count_tokens(self, text: str) -> int:
        return self._backend.count_tokens(text)

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Completion]:
        def noted() -> Iterator[Prompt]:
            with self._log.open("ab", buffering=0) as log:
                for prompt in prompts:
                    log.write(request_key(prompt).encode() + b"\n")
                    yield prompt

        return self._backend.generate(noted())

    def notices(self) -> Sequence[str]:
        return self._backend.notices()

    def close(self) -> None:
        self._backend.close()


def child(log: Path, arguments: Sequence[str]) -> None:
    """The command line of dirag, with an engine that notes what it is sent."""
    from dirag import __main__
    from dirag.assembly import engines

    make = engines.backend
    engines.backend = lambda config: Logged(make(config), log)
    sys.argv[1:] = arguments
    __main__.main()


@dataclass(frozen=True, slots=True)
class Job:
    """``sent`` tells the requests so far, each by what names it."""

    name: str
    folder: Path
    command: Sequence[str]
    texts: Sequence[str]
    sent: Callable[[], list[str]]
    starting: bool = False  # killed while it starts, too

    def start(self, output: Path) -> subprocess.Popen[bytes]:
        where = ("-o", str(output), "--resume", "-q")
        return subprocess.Popen([sys.executable, "-m", *self.command, *where])

    def owners(self) -> dict[str, int]:
        """The document of each request, from those of one run; the last where several send the same."""
        sent = self.sent()
        if self.name != "openvino":
            return {request: int(request) for request in sent}
        numbers = (number for number, text in enumerate(self.texts) for _ in segments(text))
        return dict(zip(sent, numbers, strict=True))


@dataclass(slots=True)
class Trial:
    """A job under kills. The first record takes ``first`` seconds, then ``done`` took ``worked``."""

    job: Job
    output: Path
    owners: Mapping[str, int]
    left: int
    chance: random.Random
    first: float
    done: float
    worked: float = 1.0
    kills: int = 0
    working: int = 0
    runs: int = 0
    torn: int = 0
    finished: int = 0
    sent: list[str] = field(default_factory=list)

    def run(self) -> bool:
        """Starts the job, and kills it unless no kill is left or it ends before; whether it ended."""
        finished, before = records(self.output), len(self.job.sent())
        moment = self.moment(len(self.job.texts) - finished) if self.left else math.inf
        begun = time.monotonic()
        with self.job.start(self.output) as process:
            first = watch(process, self.output, moment, self.job.starting)
        if first:
            self.first = first
            self.done += records(self.output) - finished
            self.worked += time.monotonic() - begun - first
        self.runs += 1
        sent = self.job.sent()[before:]
        self.sent += sent
        self.finished += sum(self.owners[request] < finished for request in sent)
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, f"{self.job.name} ended with status {process.returncode}"
            return True
        self.left -= 1
        self.kills += 1
        self.working += first > 0
        self.torn += length(self.output) > 0 and not self.output.read_bytes().endswith(b"\n")
        return False

    def moment(self, documents: int) -> float:
        """Seconds until the kill, drawn so that on average an equal part of the documents is done."""
        part = max(0.0, documents - LAST * len(self.job.texts)) / self.left * self.worked / self.done
        if not self.job.starting:
            return self.chance.uniform(0, 2 * part)
        return self.chance.uniform(0, self.first + part + math.sqrt(part * part + 2 * self.first * part))


def watch(process: subprocess.Popen[bytes], output: Path, moment: float, starting: bool) -> float:
    """Kills a run after so many seconds; the seconds until its first record, 0 where there was none.

    The moment counts from the first record on, or if ``starting`` from the beginning.
    """
    begun, first, size = time.monotonic(), 0.0, length(output)
    while process.poll() is None:
        now = time.monotonic() - begun
        if not first and length(output) > size:
            first = now
        if (first or starting) and now >= moment + (0 if starting else first):
            break
        time.sleep(0.0005)
    process.kill()
    return first


def length(output: Path) -> int:
    return output.stat().st_size if output.exists() else 0


def records(output: Path) -> int:
    """The whole records of a file."""
    return output.read_bytes().count(b"\n") if output.exists() else 0


def measure(job: Job, *, kills: int, seed: int) -> None:
    whole, cut, begun = job.folder / "whole.jsonl", job.folder / "cut.jsonl", time.monotonic()
    with job.start(whole) as process:
        first = watch(process, whole, math.inf, True)
    assert process.returncode == 0, f"{job.name} ended with status {process.returncode}"
    seconds, once = time.monotonic() - begun, len(job.sent())
    shutil.rmtree(job.folder / "answers", ignore_errors=True)
    rate, begun = len(job.texts) / (seconds - first), time.monotonic()
    trial = Trial(job, cut, job.owners(), kills, random.Random(seed), first, rate)
    while not trial.run():
        pass
    equal = "equal" if cut.read_bytes() == whole.read_bytes() else "DIFFERENT"
    again = len(trial.sent) - len(set(trial.sent))
    counts = (
        trial.kills,
        trial.working,
        trial.torn,
        trial.runs,
        once,
        len(trial.sent),
        again,
        trial.finished,
    )
    spent = (f"{seconds:.1f}", f"{time.monotonic() - begun:.1f}")
    row(job.name, len(job.texts), *counts, equal, *spent)


def row(*values: object) -> None:
    pairs = zip(COLUMNS, values, strict=True)
    print("  ".join(f"{value!s:>{max(len(name), 9)}}" for name, value in pairs), flush=True)


@contextmanager
def opened(name: str, folder: Path, number: int) -> Iterator[Job]:
    """The job of this name over so many documents."""
    notes, log = folder / "in.jsonl", folder / "sent.log"
    served = name in ("server", "cache")
    texts = [f"The patient has gout{n}." for n in range(number)] if served else sentences(number)
    meta = {"padding": "x" * PADDING} if name == "dictionary" else {}
    with notes.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"id": str(n), "text": t} | meta) + "\n" for n, t in enumerate(texts))
    log.touch()
    if name == "dictionary":
        yield Job(name, folder, ["dirag", "tag", str(notes), "--tagger", "dictionary"], texts, list)
    elif name == "openvino":
        command = ["tests.benchmarks.kills", "--child", str(log), "tag", str(notes), *BARE]
        yield Job(name, folder, command, texts, lambda: log.read_text().split(), True)
    else:
        scripted = ["-m", "tests.scripted_server", "--latency", "0.02", "--log", str(log)]
        with subprocess.Popen([sys.executable, *scripted], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            command = ["dirag", "tag", str(notes), *BARE, "--backend", "openai", "--base-url", url]
            command += ["--parallel", "4", "--cache", str(folder / "answers") if name == "cache" else "none"]
            yield Job(
                name, folder, command, texts, lambda: re.findall(r"gout(\d+)[^g]*$", log.read_text(), re.M)
            )
            server.terminate()


def sentences(number: int) -> list[str]:
    """Different sentences of NCBI-disease."""
    splits = (datasets.load("ncbi-disease", split=split).documents for split in ("test", "train"))
    return list(dict.fromkeys(document.text for documents in splits for document in documents))[:number]


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", default=",".join(JOBS))
    args = parser.parse_args()
    row(*COLUMNS)
    for name in args.jobs.split(","):
        with tempfile.TemporaryDirectory() as folder, opened(name, Path(folder), args.documents) as job:
            measure(job, kills=args.kills * (2 if name == "dictionary" else 1), seed=args.seed)


if __name__ == "__main__":
    main()
