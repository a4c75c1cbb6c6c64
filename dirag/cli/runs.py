"""Folders of ``eval --out``: what was scored, and that several of them have one gold standard."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path
from typing import Any

from dirag.errors import InputError


def report_of(run: Path) -> dict[str, Any]:
    """The report of a run; InputError where the folder is not that of a run that ended."""
    import orjson

    try:
        report: dict[str, Any] = orjson.loads((run / "report.json").read_bytes())
        list(report["types"])
        for name in ("gold.jsonl", "predictions.jsonl"):
            (run / name).open("rb").close()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{run} is no run of dirag eval --out that ended ({type(error).__name__})",
            hint="run it again, or name the gold standard of JSONL predictions with --dataset",
        ) from error
    return report


def runs_in(folder: Path) -> list[Path]:
    """A run by itself, or the runs of a grid: the folders in one that has no report itself."""
    inside = [] if (folder / "report.json").exists() else [r.parent for r in folder.glob("*/report.json")]
    return sorted(inside, key=lambda run: _in_order(run.name)) or [folder]


def _in_order(name: str) -> list[tuple[int, str]]:
    """What sorts names with the numbers in them as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def types_of_both(a: Path, b: Path) -> tuple[str, ...]:
    """The types that two runs were scored on; InputError where their gold standards differ."""
    types = [tuple(report_of(run)["types"]) for run in (a, b)]
    with (a / "gold.jsonl").open("rb") as of_a, (b / "gold.jsonl").open("rb") as of_b:
        for number, (one, other) in enumerate(zip_longest(of_a, of_b), start=1):
            if one != other:
                raise InputError(
                    f"{a} and {b} were scored on different gold: document {number} is not the same in both",
                    hint="compare runs of one dataset, split, sample and choice of types",
                )
    if set(types[0]) != set(types[1]):
        raise InputError(
            f"{a} and {b} were scored on different types: {', '.join(types[0])}; {', '.join(types[1])}",
            hint="compare runs of one choice of types",
        )
    return types[0]
