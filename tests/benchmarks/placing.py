"""Seconds that placing takes: 10,000 mentions in a text of one megabyte, and twice of both.

python tests/benchmarks/placing.py
"""

from __future__ import annotations

import random
import time

from dirag.data import Mention
from dirag.text.align import place


def main() -> None:
    for size, count in ((1_000_000, 10_000), (2_000_000, 20_000)):
        rng = random.Random(0)
        vocabulary = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(20_000)]
        words = rng.choices(vocabulary, k=size // 6)
        text = " ".join(words)
        starts = [rng.randrange(len(words) - 3) for _ in range(count)]
        copied = [" ".join(words[i : i + rng.randint(1, 3)]) for i in starts]
        for what, names in {
            "all stand in the text": copied,
            "case differs": [name.upper() for name in copied],
            "all invented": [name + "q" for name in copied],
        }.items():
            begin = time.perf_counter()
            entities, issues = place(text, [Mention(name, "disease") for name in names])
            seconds = time.perf_counter() - begin
            print(f"{len(text):,} characters, {count:,} mentions, {what}: {seconds:.2f} s,", end=" ")
            print(f"{len(entities):,} entities, {len(issues):,} issues")


if __name__ == "__main__":
    main()
