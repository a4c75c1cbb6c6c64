"""Whether engines say the same: runs of ``dirag eval --out`` over the same sentences, two by two.

    dirag eval --dataset ncbi-disease --limit 200 --no-lexicon --backend llamacpp --model F32.gguf --out A
    dirag eval ... --backend openvino --model F32.gguf --out B
    dirag eval ... --backend vllm --model FOLDER --engine-options dtype=float32 --out C
    python tests/benchmarks/agreement.py A B C

For each pair the share of sentences with the same entities (ends and type), and of the sentences that differ
how many differ in what, and how near the scores of the differing entities are to the threshold that decides.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import orjson

from dirag.taggers.weighing import Thresholds

Entities = dict[tuple[int, int, str], float]


def read(folder: Path) -> list[Entities]:
    """The entities of each sentence with their scores, in the order of the corpus."""
    lines = (folder / "predictions.jsonl").read_bytes().splitlines()
    return [
        {(e["start"], e["end"], e["type"]): e["score"] or 0.0 for e in orjson.loads(line)["entities"]}
        for line in lines
    ]


def compare(one: list[Entities], two: list[Entities]) -> dict[str, int]:
    """Sentences by how their entities differ; those of several kinds count under the first."""
    threshold, found = Thresholds().confidence, {"same": 0, "near the threshold": 0, "others": 0}
    for a, b in zip(one, two, strict=True):
        apart = a.keys() ^ b.keys()
        scores = [(a | b)[span] for span in apart]
        near = all(score < 1.25 * threshold for score in scores)
        found["same" if not apart else "near the threshold" if near else "others"] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    runs = {folder.name: read(folder) for folder in parser.parse_args().runs}
    for one, two in combinations(runs, 2):
        found = compare(runs[one], runs[two])
        total = sum(found.values())
        told = ", ".join(f"{number} {kind}" for kind, number in found.items())
        print(f"{one:>16} {two:<16} {found['same'] / total:.4f} of {total} sentences ({told})")


if __name__ == "__main__":
    main()
