"""Tables of a page: a row a thing, or a row a run under the heading of a group. Cells are text or HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from dirag.evaluate.page.markup import Fragments, Html, joined

ABSENT = "–"

_HTML = Fragments("tables.html")
_NO_GROUP = Html()


@dataclass(frozen=True, slots=True)
class TableRow:
    """The cells of a row behind its heading; of a grouped table, under the heading of its ``group`` too."""

    label: str
    cells: Sequence[str]
    group: str = ""


def table(caption: str, label: str, columns: Sequence[str], rows: Iterable[TableRow]) -> Html:
    """Returns a table of rows with one heading each; a column without name holds pictures."""
    return _table(caption, [label], columns, joined(_row(row) for row in rows))


def grouped_table(
    caption: str, labels: tuple[str, str], columns: Sequence[str], rows: Iterable[TableRow]
) -> Html:
    """Returns a table in which rows in sequence of one group share its heading; ``labels``: group, row."""
    # Rows of a group come together already, and sorting them would lose the order of the groups.
    groups = (joined(_group(group, list(listed))) for group, listed in groupby(rows, lambda row: row.group))
    return _table(caption, labels, columns, joined(groups, between=_HTML.fill("next-group")))


def _table(caption: str, labels: Sequence[str], columns: Sequence[str], rows: Html) -> Html:
    head = [_HTML.fill("label-head", name=name) for name in labels]
    head += [_HTML.fill("head", name=name) if name else _HTML.fill("no-head") for name in columns]
    return _HTML.fill("table", caption=caption, head=joined(head), rows=rows)


def _group(label: str, rows: Sequence[TableRow]) -> Iterator[Html]:
    yield _row(rows[0], group=_HTML.fill("group", label=label, rows=len(rows)))
    yield from map(_row, rows[1:])


def _row(row: TableRow, group: Html = _NO_GROUP) -> Html:
    cells = joined(_HTML.fill("cell", content=cell) for cell in row.cells)
    return _HTML.fill("row", group=group, label=row.label, cells=cells)
