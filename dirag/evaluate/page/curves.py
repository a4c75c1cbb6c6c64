"""The section of curves: F1 against settings, precision over recall, calibration, and their figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from operator import itemgetter

from dirag.evaluate.analysis import Analysis, Figures
from dirag.evaluate.calibration import Bin
from dirag.evaluate.page import figures
from dirag.evaluate.page.charts import RATIO, Axis, Series, around, lines
from dirag.evaluate.page.markup import Fragments, Html, joined
from dirag.evaluate.page.tables import ABSENT, TableRow, grouped_table

_HTML = Fragments("curves.html")


def curves(runs: Sequence[Analysis], operation: Collection[str]) -> Iterator[Html]:
    """Yields the parts of the section."""
    # Options come first: who varied one wants to see what it did.
    charts = (*_against_settings(runs, operation), _precision_and_recall(runs), _calibration(runs))
    yield _HTML.fill("charts", charts=joined(charts))
    if len(runs) == 1:
        ece, brier = figures.trust(runs[0])
        yield _HTML.fill("trust", ece=ece, brier=brier, unscored=_unscored(runs[0]))
    yield _HTML.fill("figures", table=_by_tenths(runs))


def _against_settings(runs: Sequence[Analysis], operation: Collection[str]) -> Iterator[Html]:
    """Yields a chart for each setting in which the runs differ and that is a number in all of them."""
    varied = figures.varied(runs, operation)
    for name in varied:
        values = [figures.settings(run)[name] for run in runs]
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if name != "seed" and len(numbers) == len(runs):  # seeds have no order that means anything
            yield _against(name, numbers, runs, [other for other in varied if other != name])


def _against(name: str, values: Sequence[float], runs: Sequence[Analysis], others: Sequence[str]) -> Html:
    """Returns F1 against a setting: a line for each choice of the others in which the runs differ."""
    groups: dict[str, list[tuple[float, Figures]]] = defaultdict(list)
    for value, run in zip(values, runs, strict=True):
        label = ", ".join(f"{other} {figures.shown(figures.settings(run)[other])}" for other in others)
        groups[label].append((value, run.whole))
    series = []
    for label, points in groups.items():
        points.sort(key=itemgetter(0))
        at_value = [(value, figures_.counts.f1) for value, figures_ in points]
        series.append(Series(label, at_value, [figures_.ci95 for _, figures_ in points]))
    bounds = [bound for run in runs for bound in run.whole.ci95]
    title = f"F1 against {name}, with 95% intervals"
    return lines(title, series, x=Axis(name, sorted(set(values))), y=Axis("F1", around(bounds)))


def _precision_and_recall(runs: Sequence[Analysis]) -> Html:
    return lines(
        "Precision and recall over score",
        # A point for each distinct score: dots would hide the line.
        [Series(run.name, [(p.recall, p.precision) for p in run.curve], dots=False) for run in runs],
        x=Axis("recall", RATIO),
        y=Axis("precision", RATIO),
    )


def _calibration(runs: Sequence[Analysis]) -> Html:
    return lines(
        "Calibration: how often entities of a score are right",
        [Series(run.name, [(b.score, b.right) for b in run.calibration.bins if b.predicted]) for run in runs],
        x=Axis("mean score", RATIO),
        y=Axis("share that is right", RATIO),
        diagonal=True,
    )


def _unscored(run: Analysis) -> str:
    number = run.calibration.unscored
    return f" {number:,} of {run.whole.counts.predicted:,} found entities have no score." if number else ""


def _by_tenths(runs: Sequence[Analysis]) -> Html:
    rows = (
        TableRow(
            f"{b.low:g}",
            (f"{b.predicted:,}", *_means(b), *map(figures.ratio, (c.precision, c.recall, c.f1))),
            group=run.name,
        )
        for run in runs
        for b, c in zip(run.calibration.bins, run.calibration.curve, strict=True)
    )
    columns = ("found", "mean score", "right", "P from here up", "R", "F1")
    return grouped_table("Scores by tenths", ("run", "score from"), columns, rows)


def _means(of_bin: Bin) -> tuple[str, str]:
    """Returns mean score and share of correct ones; an empty bin has neither."""
    if not of_bin.predicted:
        return ABSENT, ABSENT
    return figures.ratio(of_bin.score), figures.ratio(of_bin.right)
