"""``dirag eval`` with several values of an option: every combination, a row each, and what differs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import click

from dirag.cli.options import Values, explicitly_set, flag
from dirag.cli.scores import head, row
from dirag.config import Config, configured, options
from dirag.errors import UsageError


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination: ``varied`` holds the options of which there are several, with their values here."""

    varied: Mapping[str, Any]
    config: Config

    @property
    def name(self) -> str:
        """Returns the folder of the cell in that of the grid."""
        return ",".join(f"{name}={_short(value)}" for name, value in self.varied.items())


def cells(values: dict[str, Any]) -> list[Cell]:
    """Takes the options of ``Config`` out of a command's values: every combination of several values."""
    given = {name: values.pop(name) for name in options()}
    varied = {name: value for name, value in given.items() if isinstance(value, Values)}
    for name in varied:
        if not options()[name].varies:
            raise UsageError(
                f"{flag(name)} has {len(varied[name])} values, and one run has one", hint="give one"
            )
    if varied and given["record"]:
        raise UsageError(
            "--record keeps one run, not a grid", hint="--cache default keeps the answers of all"
        )
    combinations = [dict(zip(varied, values, strict=True)) for values in product(*varied.values())]
    names_set = explicitly_set()
    grid = [Cell(here, configured(given | here, explicitly_set=names_set)) for here in combinations]
    names = [cell.name for cell in grid]
    if len(set(names)) < len(names):
        raise UsageError("two values of an option have the same last part", hint="name files apart")
    return grid


def run(
    grid: Sequence[Cell],
    one: Callable[[Cell, Path | None], Mapping[str, Any]],
    out: Path | None,
    *,
    documents: int,
    priced: bool,
    as_json: bool,
) -> None:
    """Runs each cell with ``one``, which gives its report, and prints its row; then what differs.

    A cell whose report lies in ``out`` is not run again. Cells that differ in nothing that counts (without
    examples it does not matter how these are chosen) share one run.
    """
    import orjson

    widths = {name: max(len(name), *(len(_short(c.varied[name])) for c in grid)) for name in grid[0].varied}
    if not as_json:
        click.echo(f"{'  '.join(name.ljust(width) for name, width in widths.items())}  {head(priced=priced)}")
    done: dict[Config, tuple[Cell, Mapping[str, Any]]] = {}
    for cell in grid:
        # Where no examples are drawn, selectors differ in their names alone.
        key = cell.config if cell.config.shots else replace(cell.config, selector="")
        folder = out / cell.name if out else None
        if key not in done:
            done[key] = cell, _finished(cell, folder, documents) or one(cell, folder)
        elif out and folder:
            shutil.copytree(out / done[key][0].name, folder, dirs_exist_ok=True)
            config = {**done[key][1]["config"], "selector": cell.config.selector}
            text = orjson.dumps({**done[key][1], "config": config}, option=orjson.OPT_INDENT_2)
            (folder / "report.json").write_bytes(text + b"\n")
        report = done[key][1]
        if as_json:
            varied = {name: _short(value) for name, value in cell.varied.items()}
            click.echo(orjson.dumps({"cell": varied, **report}))
        else:
            values = "  ".join(_short(cell.varied[name]).ljust(width) for name, width in widths.items())
            click.echo(f"{values}  {row(report)}")
    if out and not as_json:
        _differences(grid, out)


def _finished(cell: Cell, folder: Path | None, documents: int) -> Mapping[str, Any] | None:
    """Returns the report of a cell that was run before; raises UsageError where something else was run."""
    import orjson

    if folder is None or not (folder / "report.json").is_file():
        return None
    report: dict[str, Any] = orjson.loads((folder / "report.json").read_bytes())
    now = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(cell.config).items()}
    # The dataset decides pool and types where they are not given, and so the tagger: a report has what they
    # became.
    open_ones = {"pool", "types"} | ({"tagger"} if now["tagger"] == "auto" else set())
    names = [name for name in now if options()[name].decides and name not in open_ones]
    if other := next((name for name in names if report["config"].get(name) != now[name]), None):
        raise UsageError(
            f"{folder} was made with {flag(other)} {report['config'].get(other)}, not {now[other]}",
            hint="name another --out, or remove that folder",
        )
    if report["documents"] != documents:
        raise UsageError(
            f"{folder} is of {report['documents']} documents, not {documents}",
            hint="name another --out, or remove that folder",
        )
    return report


def _differences(grid: Sequence[Cell], out: Path) -> None:
    """Prints, for each option of two values, the difference that the second makes."""
    from dirag import formats
    from dirag.evaluate.compare import difference

    # A run is in two comparisons or more where several options vary: its files are read once.
    read = cache(lambda cell, file: tuple(formats.read([str(out / cell / file)], format="jsonl")))
    for name in grid[0].varied:
        values = list(dict.fromkeys(cell.varied[name] for cell in grid))
        if len(values) != 2:
            continue
        click.echo(f"\n{name}: {_short(values[1])} less {_short(values[0])}")
        for first in (cell for cell in grid if cell.varied[name] == values[0]):
            varied = {**first.varied, name: values[1]}
            second = next(cell for cell in grid if cell.varied == varied)
            gold, types = read(first.name, "gold.jsonl"), _types(out / first.name)
            change = difference(gold, [read(c.name, "predictions.jsonl") for c in (first, second)], types)
            low, high = change.between
            rest = ", ".join(f"{n} {_short(v)}" for n, v in first.varied.items() if n != name)
            click.echo(f"  {rest:40}  {change.f1:+.3f} ({low:+.3f} to {high:+.3f})  p {change.p:.4f}")


def _types(folder: Path) -> tuple[str, ...]:
    import orjson

    return tuple(orjson.loads((folder / "report.json").read_bytes())["types"])


def _short(value: object) -> str:
    """Returns a value as it stands in tables and names of folders: of a path the last part."""
    return str(value).rstrip("/").rpartition("/")[2]
