"""The section of scores: of one run in boxes, of several in a table; by type; and the settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from dirag.evaluate.analysis import Analysis
from dirag.evaluate.page import figures
from dirag.evaluate.page.markup import Fragments, Html
from dirag.evaluate.page.tables import TableRow, table

_HTML = Fragments("scores.html")


def scores(runs: Sequence[Analysis], operation: Collection[str]) -> Iterator[Html]:
    """Yields the parts of the section."""
    yield _boxes(runs[0]) if len(runs) == 1 else _of_runs(runs, figures.varied(runs, operation))
    yield _HTML.fill("rule")
    yield figures.by_group("By type", "type", runs, lambda run: {"all": run.whole, **run.types})
    yield _HTML.fill("settings", table=_settings(runs))


def _boxes(run: Analysis) -> Html:
    counts, (low, high) = run.whole.counts, run.whole.ci95
    return _HTML.fill(
        "boxes",
        f1=figures.ratio(counts.f1),
        low=figures.ratio(low),
        high=figures.ratio(high),
        precision=figures.ratio(counts.precision),
        recall=figures.ratio(counts.recall),
        correct=f"{counts.correct:,}",
        predicted=f"{counts.predicted:,}",
        gold=f"{counts.gold:,}",
        seconds=figures.seconds(run),
        tokens=figures.tokens(run),
    )


def _of_runs(runs: Sequence[Analysis], varied: Sequence[str]) -> Html:
    rows = (
        TableRow(
            run.name,
            (
                *figures.cells(run.whole),
                *figures.trust(run),
                figures.tokens(run),
                figures.seconds(run),
                *(figures.shown(figures.settings(run)[name]) for name in varied),
            ),
        )
        for run in runs
    )
    columns = (*figures.COLUMNS, "ECE", "Brier", "tokens", "seconds", *varied)
    return table("All types", "run", columns, rows)


def _settings(runs: Sequence[Analysis]) -> Html:
    # In the order of the options; a run of an older version may lack some.
    names = dict.fromkeys(name for run in runs for name in figures.settings(run))
    rows = (
        TableRow(name, [figures.shown(figures.settings(run).get(name)) for run in runs]) for name in names
    )
    columns = [run.name for run in runs] if len(runs) > 1 else ["value"]
    return table("Settings", "setting", columns, rows)
