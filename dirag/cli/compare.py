"""``dirag compare``: two runs over the same gold set, and whether their difference means anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dirag.cli.options import dataset_options
from dirag.cli.runs import types_of_both

if TYPE_CHECKING:
    from dirag.data import Document
    from dirag.evaluate.compare import Comparison, Difference


@click.command(short_help="Compare two runs over the same gold corpus.")
@click.argument("runs", nargs=2, metavar="RUN RUN", type=click.Path(exists=True, path_type=Path))
@dataset_options(required=False)
@click.option("--seed", default=0, show_default=True, help="Seed of the resampling.")
@click.option("--offline", is_flag=True, envvar="DIRAG_OFFLINE", help="Never fetch a corpus.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def compare(runs: tuple[Path, Path], **values: Any) -> None:
    """Compare two runs: strict F1 of both, the difference, and the entities that differ.

    A run is a folder of eval --out, or with --dataset the JSONL predictions of any system. The intervals
    are bootstraps over documents, that of the difference a paired one; p is of approximate randomisation
    over documents, 10,000 shuffles.

    \b
    dirag compare runs/knn runs/random
    dirag compare mine.jsonl theirs.jsonl --dataset bc5cdr --split test
    """
    import orjson

    from dirag.evaluate import compare as comparing

    gold, types = _gold(runs, values)
    predicted = [_read(run / "predictions.jsonl" if run.is_dir() else run) for run in runs]
    comparison = comparing.compare(gold, *predicted, types=types, seed=values["seed"])
    for run, missing in zip(runs, comparison.missing, strict=True):
        if missing:
            click.echo(f"dirag: {run} has no predictions for {missing:,} gold documents", err=True)
    click.echo(orjson.dumps(comparison.json()).decode() if values["as_json"] else _table(runs, comparison))


def _gold(runs: tuple[Path, Path], values: Mapping[str, Any]) -> tuple[Sequence[Document], Sequence[str]]:
    """Returns the gold documents and types of a dataset that is named, else those that both runs have."""
    from dirag.corpora import datasets

    if not values["dataset"]:
        types = types_of_both(*runs)  # refuses what is no run, before any file of it is read
        return _read(runs[0] / "gold.jsonl"), types
    dataset = datasets.load(
        values["dataset"],
        split=values["split"],
        format=values["input_format"],
        data_dir=values["data_dir"],
        offline=values["offline"],
        in_memory=True,  # scored over all types and once more for each of them
    )
    return tuple(dataset.documents), dataset.types


def _read(path: Path) -> Sequence[Document]:
    from dirag import formats

    return tuple(formats.read([str(path)], format="jsonl"))


def _table(runs: tuple[Path, Path], comparison: Comparison) -> str:
    rows = [("all", comparison.whole), *comparison.per_type.items()]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name}  {run}" for name, run in zip("AB", runs, strict=True)]
    lines.append(f"{comparison.documents:,} documents; strict F1, 95% intervals")
    lines.append(f"{'type':{width}}  {'A':^22}  {'B':^22}  {'B - A':^24}  {'p':>6}")
    lines += [f"{name:{width}}  {_row(difference)}" for name, difference in rows]
    if comparison.fates:
        lines += ["", f"entities that differ  {'in A':16}  in B"]
        lines += [f"{number:20,}  {a:16}  {b}" for (a, b), number in comparison.fates.items()]
    return "\n".join(lines)


def _row(difference: Difference) -> str:
    runs = (
        f"{c.f1:.3f} ({low:.3f} to {high:.3f})"
        for c, (low, high) in ((difference.a, difference.ci_a), (difference.b, difference.ci_b))
    )
    low, high = difference.between
    return f"{'  '.join(runs)}  {difference.f1:+.3f} ({low:+.3f} to {high:+.3f})  {difference.p:6.4f}"
