"""The section of errors: entities by kind of error, by length of the mention and by novelty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dirag.evaluate.analysis import Analysis
from dirag.evaluate.kinds import KINDS
from dirag.evaluate.page import figures
from dirag.evaluate.page.charts import bar
from dirag.evaluate.page.markup import Fragments, Html, joined
from dirag.evaluate.page.tables import ABSENT, TableRow, grouped_table, table

_HTML = Fragments("errors.html")
_CAPTION = "Entities by kind of error"
_COLUMNS = ("gold", "share", "", "found", "share", "")


def errors(runs: Sequence[Analysis]) -> Iterator[Html]:
    """Yields the parts of the section."""
    yield _HTML.fill("about")
    if len(runs) == 1:
        yield _of_one(runs[0])
    else:
        yield _of_several(runs)
        rules = (_HTML.fill("kind", kind=kind, rule=rule) for kind, rule in KINDS.items())
        yield _HTML.fill("rules", rules=joined(rules))
    yield figures.by_group("By length of the mention", "length", runs, lambda run: run.lengths)
    if any(run.novelty for run in runs):
        caption = "By novelty: where the mention was seen"
        yield figures.by_group(caption, "seen in", runs, lambda run: run.novelty)
        yield _HTML.fill("seen")


def _of_one(run: Analysis) -> Html:
    rows = (
        TableRow(
            _HTML.fill("button", kind=kind, run=0, label=kind, shown=kind),
            (*_sides(kind, run), _HTML.fill("rule", rule=rule)),
        )
        for kind, rule in KINDS.items()
    )
    return table(_CAPTION, "kind", (*_COLUMNS, "rule"), rows)


def _of_several(runs: Sequence[Analysis]) -> Html:
    rows = (
        TableRow(
            _HTML.fill("button", kind=kind, run=number, label=f"{kind}: {run.name}", shown=run.name),
            _sides(kind, run),
            group=kind,
        )
        for kind in KINDS
        for number, run in enumerate(runs)
    )
    return grouped_table(_CAPTION, ("kind", "run"), _COLUMNS, rows)


def _sides(kind: str, run: Analysis) -> Sequence[str]:
    """Returns the cells of gold entities of a kind, and those of predicted ones."""
    gold, predicted = run.kinds[kind]
    # No gold entity is spurious, no predicted one is missed: a figure there would be 0 for every run.
    return (
        *_side(gold, run.whole.counts.gold, never=kind == "spurious"),
        *_side(predicted, run.whole.counts.predicted, never=kind == "missed"),
    )


def _side(number: int, total: int, *, never: bool) -> Sequence[str]:
    if never:
        return ABSENT, ABSENT, ""
    share = number / total if total else 0.0
    return f"{number:,}", f"{100 * share:.1f}%", bar(share)
