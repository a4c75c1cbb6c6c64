"""Speed and memory of a token classifier beside those of the default LLM, each in processes of its own.

    python -m tests.benchmarks.classifier [--model FOLDER] [--limit N] [--llm N] [--long COPIES]

Prints, in turn and twice each: sentences a second of ``dirag tag`` on the NCBI-disease test sentences
without the start (the seconds of one sentence), the start, the peak memory, and the ratio of the taggers.
Then one document of all texts of the shared notes, ``COPIES`` times over, read sentence by sentence and in
windows: seconds, and the peak memory beside that of a tenth of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dirag.corpora import datasets

CLASSIFIER = ("--tagger", "token-classifier")


def run(documents: list[str], options: list[str]) -> tuple[float, float]:
    """Returns the seconds of a run over documents, and the megabytes that its process held at most."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "in.jsonl")
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents), "utf-8")
        command = [sys.executable, "-m", "dirag", "tag", str(path), "--kb", "none", "-q", *options]
        started = time.monotonic()
        with Path(folder, "out").open("wb") as out, subprocess.Popen(command, stdout=out) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        if process.returncode or Path(folder, "out").read_bytes().count(b"\n") != len(documents):
            raise SystemExit(f"the run failed with status {process.returncode}")
    return seconds, usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def speed(texts: list[str], options: list[str]) -> tuple[float, float, float]:
    """Returns sentences a second without the start, the seconds of the start, and the peak megabytes."""
    start, _ = run(texts[:1], options)
    seconds, megabytes = run(texts, options)
    return (len(texts) - 1) / (seconds - start), start, megabytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="")
    parser.add_argument("--limit", type=int, default=940)
    parser.add_argument("--llm", type=int, default=200)
    parser.add_argument("--long", type=int, default=1)
    given = parser.parse_args()
    classifier = [*CLASSIFIER, *(["--model", given.model] if given.model else [])]
    texts = [d.text for d in datasets.load("ncbi-disease", split="test", offline=True).documents]
    for _ in range(2):
        ours, start, memory = speed(texts[: given.limit], classifier)
        llm, llm_start, llm_memory = speed(texts[: given.llm], ["--types", "disease"])
        print(f"token classifier {ours:7.1f} sentences/s, start {start:.2f} s, {memory:.0f} MB")
        print(f"LLM              {llm:7.1f} sentences/s, start {llm_start:.2f} s, {llm_memory:.0f} MB")
        print(f"ratio {ours / llm:.1f}", flush=True)
    notes = datasets.load(os.environ["DIRAG_NOTES"], split="train", offline=True)
    whole = "\n\n".join(d.text for d in notes.documents) * given.long
    for window in ("sentence", "context"):
        small, few = run([whole[: len(whole) // 10]], [*classifier, "--window", window])
        seconds, megabytes = run([whole], [*classifier, "--window", window])
        print(f"{len(whole):,} characters, {window:8}: {seconds:.1f} s (a tenth {small:.1f} s), ", end="")
        print(f"{megabytes:.0f} MB, {megabytes / few:.3f} of that of a tenth", flush=True)


if __name__ == "__main__":
    main()
