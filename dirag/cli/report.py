"""``dirag report``: runs of ``eval --out`` as one table, and as one page for a browser."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dirag.cli.output import writing
from dirag.cli.runs import report_of, runs_in, types_of_both
from dirag.cli.scores import head, row
from dirag.config import options
from dirag.errors import DiragError

if TYPE_CHECKING:
    from dirag.data import Json


@click.command(short_help="Show runs of eval as a table, and as a page for a browser.")
@click.argument(
    "runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(exists=True, path_type=Path)
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="HTML file to write, too.",
)
@click.option("--data-dir", metavar="DIR", envvar="DIRAG_DATA", help="Where the corpora of pools lie.")
@click.option("--offline", is_flag=True, envvar="DIRAG_OFFLINE", help="Never fetch corpora or vocabularies.")
def report(runs: tuple[Path, ...], output: Path | None, data_dir: str | None, offline: bool) -> None:
    """Show runs as a table, a row each, and as one page that has curves, errors by kind, and the texts with
    gold and predicted entities too.

    A run is a folder of eval --out, or one with such folders in it; several are compared, over one gold
    standard. The page holds all that it shows, the texts too, and asks for nothing from anywhere.

    \b
    dirag eval --dataset ncbi-disease --limit 100 --shots 0,4,8 --out grid
    dirag report grid
    dirag report grid -o grid.html
    dirag report grid/shots=4 grid/shots=8 -o page.html
    """
    runs = tuple(inner for run in runs for inner in runs_in(run))
    # Runs of two grids may have folders of one name: their paths tell them apart.
    names = [run.name if sum(run.name == other.name for other in runs) == 1 else str(run) for run in runs]
    width = max(map(len, names))
    for run in runs:
        types_of_both(runs[0], run)
    reports = [report_of(run) for run in runs]
    priced = any(report.get("cost") is not None for report in reports)
    click.echo(f"{'run':{width}}  {head(priced=priced)}")
    for name, about in zip(names, reports, strict=True):
        click.echo(f"{name:{width}}  {row(about)}")
    if output:
        _page(output, names, runs, reports, data_dir, offline)


def _page(
    output: Path,
    names: Sequence[str],
    runs: Sequence[Path],
    reports: Sequence[Mapping[str, Any]],
    data_dir: str | None,
    offline: bool,
) -> None:
    """Writes the page of runs of one gold standard, by the names that they have on it."""
    from dirag import formats
    from dirag.evaluate.analysis import analyse
    from dirag.evaluate.page import page

    types = list(dict.fromkeys(reports[0]["types"]))
    gold = tuple(formats.read([str(runs[0] / "gold.jsonl")], format="jsonl"))
    notes: dict[str, None] = {}  # each once, in order
    analyses = []
    for name, run, about in zip(names, runs, reports, strict=True):
        predicted = tuple(formats.read([str(run / "predictions.jsonl")], format="jsonl"))
        mentions = {entity.text for document in (*gold, *predicted) for entity in document.entities}
        novelty = _novelty(about.get("config", {}), mentions, types, data_dir, offline, notes)
        analyses.append(analyse(name, gold, predicted, report=about, types=types, novelty=novelty))
    for note in notes:
        click.echo(f"dirag: {note}", err=True)
    operation = {name for name, option in options().items() if not option.decides}
    html = page(analyses, gold, types=types, operation=operation, notes=tuple(notes))
    with writing(output):
        output.write_text(html, encoding="utf-8")
    size = output.stat().st_size / 1e6
    click.echo(f"dirag: {output}: {len(gold):,} texts, {size:.1f} MB", err=True)


def _novelty(
    config: Mapping[str, Json],
    mentions: Collection[str],
    types: Sequence[str],
    data_dir: str | None,
    offline: bool,
    notes: dict[str, None],
) -> Callable[[str], str] | None:
    """Returns what names the places where a mention was seen; None where the run has neither pool nor base.

    A pool or a base that cannot be opened adds to ``notes``.
    """
    places: dict[str, Collection[str]] = {}
    # Pool and base may have gone since the run, and the rest of the page needs neither.
    for place, name, look in (
        ("pool", config.get("pool"), partial(_in_pool, mentions, data_dir, offline)),
        ("knowledge base", config.get("kb"), partial(_in_base, mentions, types, offline)),
    ):
        if isinstance(name, str) and name != "none":
            try:
                places[place] = look(name)
            except DiragError as error:
                notes[f"what was seen in the {place} is not told: {error}"] = None
    if not places:
        return None

    def named(mention: str) -> str:
        return " and ".join(place for place, seen in places.items() if mention in seen) or "neither"

    return named


def _in_pool(mentions: Collection[str], data_dir: str | None, offline: bool, name: str) -> Collection[str]:
    """Returns those mentions that are entities of a pool, compared in normal form."""
    from dirag.text.language import english
    from dirag.text.normalise import normaliser

    seen, key = _pool_names(name, data_dir, offline), normaliser(english()).key
    return {mention for mention in mentions if key(mention) in seen}


@cache
def _pool_names(name: str, data_dir: str | None, offline: bool) -> frozenset[tuple[str, ...]]:
    """Returns the mentions of a pool in normal form, read once for all runs."""
    from dirag.assembly import sources
    from dirag.text.language import english
    from dirag.text.normalise import normaliser

    examples = sources.read_pool(name, data_dir=data_dir, offline=offline).examples
    key = normaliser(english()).key
    return frozenset(key(entity.text) for example in examples for entity in example.entities)


def _in_base(mentions: Collection[str], types: Sequence[str], offline: bool, name: str) -> Collection[str]:
    """Returns those mentions that name a concept of a knowledge base which can be of one of the types."""
    from dirag.assembly import sources

    with closing(sources.read_base(name, offline=offline)) as base:
        queries = sorted(mentions)
        hits = base.index_for(types, matches=["exact"]).lookup(queries, k=1)
        return {mention for mention, best in zip(queries, hits, strict=True) if best}
