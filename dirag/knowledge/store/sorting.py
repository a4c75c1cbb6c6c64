"""Sorts more rows than memory should hold: sorted runs on disk, merged when they are read."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Generic, TypeVar

import orjson

_RUN = 100_000  # rows

Row = TypeVar("Row")


class Sorter(Generic[Row]):
    """Rows (tuples of text, numbers and such tuples) go in, in any order, and come out sorted, once.

    What was a tuple comes out as a list. Holds one run in memory; the files of the others, in ``folder``,
    have no name and vanish with the process.
    """

    def __init__(self, folder: Path, *, run: int = _RUN) -> None:
        self._folder, self._run = folder, run
        self._rows: list[Row] = []
        self._files: list[IO[bytes]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Sorter[Row]:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= self._run:
            self._spill()

    def __iter__(self) -> Iterator[Row]:
        self._spill()
        # Runs have equal rows in any order: rows are compared whole, so equal ones cannot be told apart.
        return heapq.merge(*(map(orjson.loads, stream) for stream in self._files))

    def _spill(self) -> None:
        self._rows.sort()
        # Beside the base, not in /tmp, which may be a small disk in memory; the stack closes it.
        stream = self._stack.enter_context(tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115
        stream.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in self._rows)
        stream.seek(0)
        self._files.append(stream)
        self._rows = []
