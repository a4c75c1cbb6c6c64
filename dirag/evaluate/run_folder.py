"""The folder of a run: its records, each written as it comes, and its report, written last.

A folder without report.json is that of a run that did not end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import orjson

from dirag.data import Document, Json, Result
from dirag.formats import jsonl

GOLD, PREDICTIONS, REPORT = "gold.jsonl", "predictions.jsonl", "report.json"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run is written; nowhere, if ``path`` is None."""

    path: Path | None

    def begin(self) -> None:
        """Removes the report of a run before: beside the files of this one it would be taken for theirs."""
        if self.path is not None:
            (self.path / REPORT).unlink(missing_ok=True)

    def gold(self, documents: Iterable[Document]) -> Iterator[Document]:
        """Yields gold documents, each when its record is written."""
        return self._records(GOLD, documents, lambda document: Result(document, document.entities))

    def predictions(self, results: Iterable[Result]) -> Iterator[Result]:
        """Yields results, each when its record is written: a run that is killed leaves what it had."""
        return self._records(PREDICTIONS, results, lambda result: result)

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        """Writes a file of lines, each with its end."""
        if self.path is not None:
            self.path.mkdir(parents=True, exist_ok=True)
            with (self.path / name).open("wb") as file:
                file.writelines(lines)

    def end(self, report: dict[str, Json]) -> None:
        """Writes the report of a run that is done."""
        self.write(REPORT, [orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n"])

    def _records(self, name: str, items: Iterable[T], record: Callable[[T], Result]) -> Iterator[T]:
        if self.path is None:
            yield from items
            return
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / name).open("wb") as file:
            for item in items:
                file.write(jsonl.dumps(record(item)))
                # Whoever follows the file sees each record, and a run that is killed leaves whole lines.
                file.flush()
                yield item
