"""``dirag eval``: the same options over a gold set, scored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from dirag.cli import grid, perturb
from dirag.cli.options import Names, dataset_options, several_config_options
from dirag.cli.output import Summary
from dirag.cli.scores import concepts_line, schemes_table, status_line
from dirag.errors import UsageError
from dirag.evaluate.robustness.perturb import KINDS

if TYPE_CHECKING:
    from dirag.config import Config
    from dirag.evaluate.report import EvaluationReport
    from dirag.evaluate.run import GoldSet
    from dirag.evaluate.scoring.score import Score


@click.command("eval", short_help="Tag a gold corpus and score the result.")
@dataset_options(required=True)
@click.option("--limit", type=click.IntRange(min=1), help="Score a seeded sample of so many documents.")
@click.option("--predictions", type=click.Path(exists=True, dir_okay=False), help="Score this JSONL instead.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for records and report."
)
@click.option("--calibration", is_flag=True, help="Show how far scores can be trusted, too.")
@click.option(
    "--scores",
    type=click.Choice(["strict", "all"]),
    default="strict",
    show_default=True,
    help="What to show: strict scores, or every scheme too.",
)
@click.option(
    "--price",
    type=click.FloatRange(min=0),
    nargs=2,
    metavar="PROMPT ANSWER",
    help="Price of a million tokens of prompts, and of answers: show what the run costs, too.",
)
@click.option(
    "--perturb",
    type=Names(),
    default=(),
    metavar="KIND,…|all",
    help=f"In place of scores, what edits of the texts change: {', '.join(KINDS)}.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@several_config_options
def evaluate(**values: Any) -> None:
    """Tag the gold documents of a dataset and score the result: strict span F1, micro, per type.

    In-context examples come from the dataset's own train split unless --pool says otherwise; where
    that is what is scored, or there is no such split, from the built-in pool. Where the gold standard has
    ids that the knowledge base holds, entities are linked, and scored by their concepts too.

    Options may have several values, with commas between them: every combination is run, and gets a row
    and a folder of its own in --out, where what was finished before is not run again.

    \b
    dirag eval --dataset ncbi-disease --limit 100
    dirag eval --dataset ncbi-disease --split devel --shots 4 --selector random --json
    dirag eval --dataset bc5cdr --predictions mine.jsonl --scores all
    dirag eval --dataset ncbi-disease-pubtator --kb medic.txt --tagger dictionary --out run
    dirag eval --dataset ncbi-disease --limit 100 --shots 0,4,8 --selector random,knn --out grid
    dirag eval --dataset ncbi-disease --limit 40 --perturb case,synonym,concept --out run
    """
    cells = grid.cells(values)
    _refuse(values, runs=len(cells))
    config = cells[0].config
    gold = _gold_set(config, values)
    if values["perturb"]:
        perturb.run(config, gold, values["perturb"], folder=values["out"], as_json=values["as_json"])
    elif len(cells) > 1:
        grid.run(
            cells,
            lambda cell, folder: _run(cell.config, gold, values, folder).json(),
            values["out"],
            documents=len(gold.documents),
            priced=bool(values["price"]),
            as_json=values["as_json"],
        )
    else:
        _show(_run(config, gold, values, values["out"]), values)


def _refuse(values: Mapping[str, Any], *, runs: int) -> None:
    """Raises UsageError where options are given together that bear on different things."""
    if values["perturb"] and (values["predictions"] or runs > 1):
        hint = "leave out --predictions, and give each option one value"
        raise UsageError("--perturb tags edited texts, in one run", hint=hint)
    if values["predictions"] and runs > 1:
        raise UsageError("--predictions are of one run, not of a grid", hint="give each option one value")


def _gold_set(config: Config, values: Mapping[str, Any]) -> GoldSet:
    """Loads the documents to be scored; prints what a reader of the scores should know of them."""
    from dirag.evaluate.run import GoldSet

    gold = GoldSet.load(
        values["dataset"],
        config,
        split=values["split"],
        format=values["input_format"],
        data_dir=values["data_dir"],
        limit=values["limit"],
    )
    for note in gold.dataset.notes:
        click.echo(f"dirag: {gold.dataset.name}: {note}", err=True)
    return gold


def _run(config: Config, gold: GoldSet, values: Mapping[str, Any], folder: Path | None) -> EvaluationReport:
    from dirag.evaluate import run

    summary = Summary()
    with summary.meter:
        return run.evaluate(
            config,
            gold,
            predictions=values["predictions"],
            price=values["price"],
            folder=folder,
            observer=summary,
        )


def _show(report: EvaluationReport, values: Mapping[str, Any]) -> None:
    if values["as_json"]:
        click.echo(orjson.dumps(report.json()).decode())
        return
    click.echo(_table(report))
    if values["calibration"]:
        click.echo(f"\n{_calibration_table(report.score)}")
    if values["scores"] == "all":
        click.echo(f"\n{schemes_table(report)}")


def _table(report: EvaluationReport) -> str:
    """Returns the report for eyes: a row for all types together, then one a type."""
    from dirag.evaluate.report import title

    micro = report.score.micro
    rows = [("all", micro), *sorted(report.score.per_type.items())]
    width = max(len(name) for name, _ in rows)
    # The interval is of strict F1, as the table is; those of other schemes are in --scores all.
    low, high = report.ci95["strict"]
    unit = "sentences" if report.dataset.as_sentences else "documents"
    lines = [f"{title(report.dataset)}: {report.documents:,} {unit}"]
    lines.append(f"{'type':{width}}  {'gold':>6} {'found':>6} {'right':>6}  {'P':>6} {'R':>6} {'F1':>6}")
    for name, c in rows:
        ratios = f"{c.precision:6.3f} {c.recall:6.3f} {c.f1:6.3f}"
        lines.append(f"{name:{width}}  {c.gold:6,} {c.predicted:6,} {c.correct:6,}  {ratios}")
    issues = ", ".join(f"{code} {number:,}" for code, number in sorted(report.issues.items()))
    usage = report.usage
    interval = f"{low:.3f} to {high:.3f}" if micro.correct else "none, since nothing is right"
    lines.append(f"F1 95% interval {interval}; issues: {issues}")
    lines.append(
        f"{report.seconds:.1f} s; {usage.requests:,} requests; "
        f"tokens: {usage.prompt:,} prompt ({usage.cached:,} cached), {usage.completion:,} answer"
        + (f"; cost {report.cost:,.4f}" if report.cost is not None else "")
    )
    if report.score.concepts:
        lines.append(concepts_line(report))
    if report.score.status:
        lines.append(status_line(report))
    return "\n".join(lines)


def _calibration_table(scored: Score) -> str:
    """Returns a row a bin of scores: what lies in it, and what is found with its lower end as least score."""
    from dirag.evaluate.calibration import calibration

    figures = calibration(scored)
    ratios = f"{'P':>6} {'R':>6} {'F1':>6}"
    lines = [f"{'score':<5} {'found':>6} {'mean':>6} {'right':>6}   {'--min-score':<11} {ratios}"]
    for b, c in zip(figures.bins, figures.curve, strict=True):
        inside = f"{b.score:6.3f} {b.right:6.3f}" if b.predicted else f"{'':13}"
        ratios = f"{c.precision:6.3f} {c.recall:6.3f} {c.f1:6.3f}"
        lines.append(f"{b.low:<5} {b.predicted:6,} {inside}   {b.low:<11} {ratios}")
    lines.append(f"Brier score {figures.brier:.3f}, expected calibration error {figures.ece:.3f}")
    if figures.unscored:
        lines[-1] += f"; {figures.unscored:,} without a score stay at any --min-score"
    return "\n".join(lines)
