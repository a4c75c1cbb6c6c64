"""``dirag eval``: the same options over a gold set, scored."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dirag.cli.options import config_of, config_options
from dirag.cli.tag import Summary
from dirag.config import Config
from dirag.data import Document, Json, Result

if TYPE_CHECKING:
    from dirag.evaluate.datasets import Dataset
    from dirag.evaluate.run import Report
    from dirag.evaluate.score import Score


@click.command("eval", short_help="Tag a gold corpus and score the result.")
@click.option("--dataset", required=True, metavar="NAME|PATH", help="Known corpus, or any annotated file.")
@click.option("--split", default="test", show_default=True, help="train, devel or test.")
@click.option("--limit", type=click.IntRange(min=1), help="Score a seeded sample of so many documents.")
@click.option("--data-dir", metavar="DIR", envvar="DIRAG_DATA", help="Where corpora lie.")
@click.option("--predictions", type=click.Path(exists=True, dir_okay=False), help="Score this JSONL instead.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for records and report."
)
@click.option("--calibration", is_flag=True, help="Show how far scores can be trusted, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_options
def evaluate(**values: Any) -> None:
    """Tag the gold documents of a dataset and score the result: strict span F1, micro, per type.

    In-context examples come from the dataset's own train split unless --pool says otherwise; where
    that is what is scored, or there is no such split, from the built-in pool.

    \b
    dirag eval --dataset ncbi-disease --limit 100
    dirag eval --dataset ncbi-disease --split devel --shots 4 --selector random --json
    dirag eval --dataset bc5cdr --predictions mine.jsonl
    """
    import orjson

    from dirag.evaluate import datasets, run

    config = config_of(values)
    dataset = datasets.load(
        values["dataset"], split=values["split"], data_dir=values["data_dir"], offline=config.offline
    )
    dataset = replace(dataset, types=config.types or dataset.types)
    for note in dataset.notes:
        click.echo(f"dirag: {dataset.name}: {note}", err=True)
    gold: Sequence[Document] = dataset.documents
    if values["limit"]:
        gold = datasets.sample(gold, values["limit"], seed=config.seed)
    started = time.monotonic()
    if values["predictions"]:
        results = _read(values["predictions"], config.min_score)
        settings: dict[str, Json] = {"predictions": values["predictions"], "min_score": config.min_score}
    else:
        config = replace(config, types=dataset.types, pool=_pool(config, dataset, values["dataset"]))
        results, settings = _tagged(config, dataset, gold, values["data_dir"]), _settings(config)
    kept = list(_kept(results, values["out"]))
    report = run.report(
        dataset,
        gold,
        kept,
        sentences=len(gold),
        seconds=time.monotonic() - started,
        config=settings,
        seed=config.seed,
    )
    text = orjson.dumps(report.json(), option=orjson.OPT_INDENT_2).decode()
    if values["out"]:
        (values["out"] / "report.json").write_text(text + "\n", encoding="utf-8")
    if values["as_json"]:
        click.echo(orjson.dumps(report.json()).decode())
        return
    click.echo(_table(report))
    if values["calibration"]:
        click.echo(f"\n{_calibration_table(report.score)}")


def _pool(config: Config, dataset: Dataset, name: str) -> str:
    """The dataset's train split, unless another pool was asked for or there is none apart from the gold."""
    return name if config.pool == "default" and dataset.split not in (None, "train") else config.pool


def _settings(config: Config) -> dict[str, Json]:
    from importlib.metadata import version

    settings: dict[str, Json] = {
        name: list(v) if isinstance(v, tuple) else v for name, v in asdict(config).items()
    }
    return settings | {"dirag": version("dirag")}


def _tagged(
    config: Config, dataset: Dataset, gold: Sequence[Document], data_dir: str | None
) -> Iterator[Result]:
    from dirag import assembly
    from dirag.pipeline import tag

    needs_base = config.tagger == "dictionary" or config.lexicon or config.concepts
    base = assembly.knowledge_base(config) if needs_base else None
    bare = (replace(document, entities=()) for document in gold)
    is_llm = config.tagger == "llm"
    examples = assembly.read_pool(config.pool, data_dir=data_dir, offline=config.offline) if is_llm else None
    summary = Summary()
    with closing(assembly.tagger(config, config.types, base=base, examples=examples)) as tagger:
        for result in tag(bare, tagger, min_score=config.min_score, whole=dataset.sentences):
            summary.add(result)
            yield result
        summary.finish(tagger.remarks())


def _read(path: str, min_score: float) -> Iterator[Result]:
    from dirag import formats
    from dirag.pipeline import scoring

    for document in formats.read([path], format="jsonl"):
        kept = scoring(document.entities, min_score)
        yield Result(replace(document, entities=()), tuple(kept), document.issues)


def _kept(results: Iterator[Result], folder: Path | None) -> Iterator[Result]:
    """The results, each written to ``predictions.jsonl`` in the folder as it comes."""
    if folder is None:
        yield from results
        return
    from dirag.formats import jsonl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "predictions.jsonl").open("wb") as file:
        for result in results:
            file.write(jsonl.dumps(result))
            file.flush()
            yield result


def _table(report: Report) -> str:
    """The report for eyes: a row for all types together, then one a type."""
    micro = report.score.micro
    rows = [("all", micro), *sorted(report.score.per_type.items())]
    width = max(len(name) for name, _ in rows)
    low, high = report.ci95
    lines = [f"{report.dataset.name} {report.dataset.split or ''}: {report.sentences:,} documents"]
    lines.append(f"{'type':{width}}  {'gold':>6} {'found':>6} {'right':>6}  {'P':>6} {'R':>6} {'F1':>6}")
    for name, c in rows:
        ratios = f"{c.precision:6.3f} {c.recall:6.3f} {c.f1:6.3f}"
        lines.append(f"{name:{width}}  {c.gold:6,} {c.predicted:6,} {c.correct:6,}  {ratios}")
    issues = ", ".join(f"{code} {number:,}" for code, number in sorted(report.issues.items()))
    usage = report.usage
    lines.append(f"F1 95% interval {low:.3f} to {high:.3f}; issues: {issues}")
    lines.append(
        f"{report.seconds:.1f} s; {usage.requests:,} requests; "
        f"tokens: {usage.prompt:,} prompt ({usage.cached:,} cached), {usage.completion:,} answer"
    )
    return "\n".join(lines)


def _calibration_table(scored: Score) -> str:
    """A row a bin of scores: what lies in it, and what would be found from its lower end up."""
    from dirag.evaluate.calibration import calibration

    made = calibration(scored)
    ratios = f"{'P':>6} {'R':>6} {'F1':>6}"
    lines = [f"{'score':<5} {'found':>6} {'mean':>6} {'right':>6}   {'--min-score':<11} {ratios}"]
    for b, c in zip(made.bins, made.curve, strict=True):
        inside = f"{b.score:6.3f} {b.right:6.3f}" if b.predicted else f"{'':13}"
        ratios = f"{c.precision:6.3f} {c.recall:6.3f} {c.f1:6.3f}"
        lines.append(f"{b.low:<5} {b.predicted:6,} {inside}   {b.low:<11} {ratios}")
    lines.append(f"Brier score {made.brier:.3f}, expected calibration error {made.ece:.3f}")
    if made.unscored:
        lines[-1] += f"; {made.unscored:,} without a score stay at any --min-score"
    return "\n".join(lines)
