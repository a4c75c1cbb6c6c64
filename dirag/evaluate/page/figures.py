"""What several sections show of a run: counts and ratios as cells, tokens and seconds, its settings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from dirag.data import Json
from dirag.evaluate.analysis import Analysis, Figures
from dirag.evaluate.page import charts
from dirag.evaluate.page.markup import Html
from dirag.evaluate.page.tables import ABSENT, TableRow, grouped_table, table

#: The columns of :func:`cells`.
COLUMNS = ("gold", "found", "right", "P", "R", "F1", "95% interval", "")

_NO_FIGURES = (*[ABSENT] * (len(COLUMNS) - 1), "")


def cells(figures: Figures | None) -> Sequence[str]:
    """Returns the cells of some entities; None where a run has no such entities."""
    if figures is None:
        return _NO_FIGURES
    counts, (low, high) = figures.counts, figures.ci95
    return (
        *(f"{number:,}" for number in (counts.gold, counts.predicted, counts.correct)),
        *map(ratio, (counts.precision, counts.recall, counts.f1)),
        f"{ratio(low)}–{ratio(high)}",
        charts.meter(counts.f1, low, high),
    )


def by_group(
    caption: str, label: str, runs: Sequence[Analysis], groups: Callable[[Analysis], Mapping[str, Figures]]
) -> Html:
    """Returns a table with a row a group of entities and, where there are several, a run."""
    names = dict.fromkeys(name for run in runs for name in groups(run))
    # A run that lacks a group has a row all the same, so that runs stand in one order everywhere.
    rows = (TableRow(run.name, cells(groups(run).get(name)), group=name) for name in names for run in runs)
    if len(runs) > 1:
        return grouped_table(caption, (label, "run"), COLUMNS, rows)
    return table(caption, label, COLUMNS, (TableRow(row.group, row.cells) for row in rows))


def ratio(value: float) -> str:
    """Returns a share of 1 with three digits."""
    return f"{value:.3f}"


def trust(run: Analysis) -> tuple[str, str]:
    """Returns expected calibration error and Brier score, where there are scores."""
    calibration = run.calibration
    if not any(part.predicted for part in calibration.bins):
        return ABSENT, ABSENT
    return ratio(calibration.ece), ratio(calibration.brier)


def tokens(run: Analysis) -> str:
    """Returns the number of tokens of prompts and answers."""
    used = run.report.get("tokens")
    numbers = (used.get(name) for name in ("prompt", "completion")) if isinstance(used, dict) else ()
    return f"{sum(number for number in numbers if isinstance(number, int)):,}"


def seconds(run: Analysis) -> str:
    """Returns how long a run took."""
    value = run.report.get("seconds")
    return f"{value:,.1f}" if isinstance(value, int | float) else ABSENT


def settings(run: Analysis) -> Mapping[str, Json]:
    """Returns the settings of a run by name, in their own order."""
    config = run.report.get("config")
    return config if isinstance(config, dict) else {}


def varied(runs: Sequence[Analysis], operation: Collection[str]) -> list[str]:
    """Returns the settings that all runs have and in which they differ, less those of ``operation``."""
    shared = [name for name in settings(runs[0]) if all(name in settings(run) for run in runs)]
    return [
        name
        for name in shared
        if name not in operation and len({shown(settings(run)[name]) for run in runs}) > 1
    ]


def shown(value: Json) -> str:
    """Returns the value of a setting as people read it."""
    if value is None or value == "":
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(shown, value)) if isinstance(value, list) else str(value)
