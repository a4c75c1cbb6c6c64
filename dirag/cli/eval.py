"""``dirag eval``: the same options over a gold set, scored."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import orjson

from dirag.cli import grid
from dirag.cli.options import Names, dataset_options, several_config_options
from dirag.cli.output import Summary
from dirag.cli.scores import concepts_line, schemes_table
from dirag.config import Config
from dirag.data import Document, Json, Result
from dirag.errors import UsageError
from dirag.evaluate.robustness.perturb import KINDS

if TYPE_CHECKING:
    from dirag.corpora.datasets import Dataset
    from dirag.evaluate.run import EvaluationReport
    from dirag.evaluate.scoring.concepts import CanonicalId
    from dirag.evaluate.scoring.score import Score
    from dirag.knowledge.base import KnowledgeBase

T = TypeVar("T")


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
    from dirag.corpora import datasets

    cells = grid.cells(values)
    config = cells[0].config
    dataset = datasets.load(
        values["dataset"],
        split=values["split"],
        format=values["input_format"],
        data_dir=values["data_dir"],
        offline=config.offline,
    )
    dataset = replace(dataset, types=config.types or dataset.types)
    for note in dataset.notes:
        click.echo(f"dirag: {dataset.name}: {note}", err=True)
    gold: Collection[Document] = dataset.documents
    if values["limit"]:
        gold = datasets.sample(dataset.documents, values["limit"], seed=config.seed)
    if values["perturb"]:
        if values["predictions"] or len(cells) > 1:
            hint = "leave out --predictions, and give each option one value"
            raise UsageError("--perturb tags edited texts, in one run", hint=hint)
        _perturb(config, dataset, tuple(gold), values)
        return
    if len(cells) > 1:
        if values["predictions"]:
            raise UsageError("--predictions are of one run, not of a grid", hint="give each option one value")
        grid.run(
            cells,
            lambda cell, out: _run(cell.config, dataset, gold, values | {"out": out}).json(),
            values["out"],
            documents=len(gold),
            priced=bool(values["price"]),
            as_json=values["as_json"],
        )
        return
    report = _run(config, dataset, gold, values)
    if values["as_json"]:
        click.echo(orjson.dumps(report.json()).decode())
        return
    click.echo(_table(report))
    if values["calibration"]:
        click.echo(f"\n{_calibration_table(report.score)}")
    if values["scores"] == "all":
        click.echo(f"\n{schemes_table(report)}")


def _run(
    config: Config, dataset: Dataset, gold: Collection[Document], values: Mapping[str, Any]
) -> EvaluationReport:
    """One run, whose records and report go to the folder ``out``, if there is one."""
    from dirag.evaluate import run

    if values["out"]:  # a report beside files of another run would be taken for theirs
        (values["out"] / "report.json").unlink(missing_ok=True)
    started = time.monotonic()
    base = _knowledge_base(config, gold, tagging=not values["predictions"])
    linked = base is not None and _holds(base, gold)
    if values["predictions"]:
        results = _read(values["predictions"], config.min_score)
        settings: dict[str, Json] = {"predictions": values["predictions"], "min_score": config.min_score}
    else:
        config = replace(config, types=dataset.types, pool=_pool(config, dataset, values["dataset"]))
        results, settings = (
            _tagged(config, dataset, gold, base, linked, values["data_dir"]),
            _settings(config),
        )
    asked = (replace(d, entities=tuple(e for e in d.entities if e.type in dataset.types)) for d in gold)
    report = run.report(
        dataset,
        _kept(asked, values["out"], "gold.jsonl", lambda document: Result(document, document.entities)),
        _kept(results, values["out"], "predictions.jsonl", lambda result: result),
        sentences=len(gold),
        seconds=lambda: time.monotonic() - started,
        config=settings,
        seed=config.seed,
        canonical_id=_canonical_id(base, linked),
        price=values["price"],
    )
    if values["out"]:
        text = orjson.dumps(report.json(), option=orjson.OPT_INDENT_2).decode()
        (values["out"] / "report.json").write_text(text + "\n", encoding="utf-8")
    return report


def _perturb(config: Config, dataset: Dataset, gold: Sequence[Document], values: Mapping[str, Any]) -> None:
    """Shows how the predictions bear edits of the texts, in place of scores."""
    from dirag.cli import perturb

    config = replace(config, types=dataset.types, pool=_pool(config, dataset, values["dataset"]))

    def tagged(documents: Sequence[Document]) -> Iterator[Result]:
        base = _knowledge_base(config, (), tagging=True)
        results = _tagged(config, dataset, documents, base, False, values["data_dir"])
        return _kept(results, values["out"], "predictions.jsonl", lambda result: result)

    perturb.run(
        config,
        dataset,
        gold,
        tagged,
        kinds=values["perturb"],
        settings=_settings(config),
        out=values["out"],
        as_json=values["as_json"],
    )


def _pool(config: Config, dataset: Dataset, name: str) -> str:
    """The dataset's train split, unless another pool was asked for or there is none apart from the gold."""
    return name if config.pool == "default" and dataset.split not in (None, "train") else config.pool


def _settings(config: Config) -> dict[str, Json]:
    from dirag.files import fingerprint

    settings: dict[str, Json] = {
        name: list(v) if isinstance(v, tuple) else v for name, v in asdict(config).items()
    }
    return settings | {"dirag": fingerprint.version()}


def _knowledge_base(config: Config, gold: Iterable[Document], *, tagging: bool) -> KnowledgeBase | None:
    """The one that tagging needs, or ids in the gold standard; without tagging, only one that was named."""
    from dirag.assembly import sources

    has_ids = any(entity.link for document in gold for entity in document.entities)
    needed = (tagging and sources.reads_base(config)) or (has_ids and (tagging or config.kb != "default"))
    return sources.knowledge_base(config) if needed else None


def _holds(base: KnowledgeBase, gold: Iterable[Document]) -> bool:
    """Whether a knowledge base has any id of the gold standard; how many, is told."""
    from dirag.evaluate.scoring import concepts

    ids = concepts.all_ids(gold)
    held = sum(base.id_of(id) is not None for id in ids)
    if ids:
        told = "entities are linked" if held else "none is linked; name a vocabulary of its ids with --kb"
        click.echo(
            f"dirag: the knowledge base holds {held:,} of the {len(ids):,} ids of the gold standard: {told}",
            err=True,
        )
    return held > 0


def _canonical_id(base: KnowledgeBase | None, linked: bool) -> CanonicalId | None:
    """How ids are compared: as they are, by the concepts of a base, or not at all where it has none."""
    if base is None:
        return str
    return (lambda id: base.id_of(id) or id) if linked else None


def _tagged(
    config: Config,
    dataset: Dataset,
    gold: Iterable[Document],
    base: KnowledgeBase | None,
    linked: bool,
    data_dir: str | None,
) -> Iterator[Result]:
    from dirag.assembly import sources, tagging
    from dirag.config import tagger_kind
    from dirag.pipeline import tag

    index = base.linker_for(config.types) if base and linked else None
    bare = (replace(document, entities=()) for document in gold)
    examples = None
    if tagger_kind(config).pool:
        examples = sources.read_pool(config.pool, data_dir=data_dir, offline=config.offline)
    summary = Summary()
    with (
        closing(tagging.tagger(config, config.types, base=base, examples=examples)) as tagger,
        summary.meter,
    ):
        for result in tag(
            bare, tagger, index=index, min_score=config.min_score, as_sentences=dataset.as_sentences
        ):
            summary.add(result)
            yield result
        summary.finish(tagger.notices())


def _read(path: str, min_score: float) -> Iterator[Result]:
    from dirag import formats
    from dirag.pipeline import scoring

    for document in formats.read([path], format="jsonl"):
        kept = scoring(document.entities, min_score)
        yield Result(replace(document, entities=()), tuple(kept), document.issues)


def _kept(items: Iterable[T], folder: Path | None, name: str, record: Callable[[T], Result]) -> Iterator[T]:
    """The items, the record of each written to a file of the folder as it comes."""
    if folder is None:
        yield from items
        return
    from dirag.formats import jsonl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("wb") as file:
        for item in items:
            file.write(jsonl.dumps(record(item)))
            file.flush()
            yield item


def _table(report: EvaluationReport) -> str:
    """The report for eyes: a row for all types together, then one a type."""
    micro = report.score.micro
    rows = [("all", micro), *sorted(report.score.per_type.items())]
    width = max(len(name) for name, _ in rows)
    low, high = report.ci95["strict"]
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
        + (f"; cost {report.cost:,.4f}" if report.cost is not None else "")
    )
    if report.score.concepts:
        lines.append(concepts_line(report))
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
