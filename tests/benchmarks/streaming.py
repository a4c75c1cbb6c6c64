"""Peak memory of ``dirag tag --tagger dictionary`` over few and many documents: the ratio should be near 1.

    python tests/benchmarks/streaming.py [FEW MANY]

Prints, for each, documents, seconds and the peak resident memory of the process, then the ratio of the two.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NOTE = (
    "The patient, number {}, has a history of asthma and type 2 diabetes.\r\n"
    "Dx: colon cancer, resected. Meds: salbutamol, metformin 500 mg bid.\r\n"
    "No fever or chest pain today; dyspnoea on exertion since {} days.\r\n"
)


def peak(folder: Path, documents: int) -> tuple[float, float]:
    """Seconds, and the megabytes that the process held at most."""
    path = folder / f"{documents}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(documents):
            file.write(json.dumps({"id": str(number), "text": NOTE.format(number, number % 30)}) + "\n")
    command = [sys.executable, "-m", "dirag", "tag", str(path), "--tagger", "dictionary", "-q"]
    started = time.monotonic()
    with (folder / f"{documents}.out").open("wb") as out, subprocess.Popen(command, stdout=out) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    written = (folder / f"{documents}.out").read_bytes().count(b"\n")
    if written != documents:
        raise SystemExit(f"{written} records of {documents} documents")
    return time.monotonic() - started, kilobytes(usage) / 1024


def kilobytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024 if sys.platform == "darwin" else usage.ru_maxrss


def main(few: int, many: int) -> None:
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for documents in (few, many):
            seconds, megabytes = peak(Path(folder), documents)
            peaks.append(megabytes)
            print(f"{documents:7,} documents  {seconds:7.1f} s  {megabytes:8.1f} MB", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3] or ("2000", "20000")))
