"""How far long work is, on standard error: a bar on a terminal, lines now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

_DELAY = 2.0  # seconds; work that is done before shows no bar
_REFRESH = 0.2  # seconds between two drawings of the bar
_PAUSE = 10.0  # seconds between two lines
_MANY = 100_000  # units from which on a bar counts in thousands and millions


class Meter:
    """The progress of one piece of work, used as a context.

    ``total`` and ``start`` are in units: bytes ("B"), or what ``unit`` names; ``total`` is None where nobody
    knows it. ``amount`` is the whole work as lines name it. ``wanted``: None draws the bar on a terminal and
    is silent elsewhere, True writes lines elsewhere, False is silent. ``write`` takes the lines.
    """

    def __init__(
        self,
        what: str,
        total: int | None,
        *,
        unit: str,
        amount: str = "",
        start: int = 0,
        wanted: bool | None = None,
        write: Callable[[str], None] | None = None,
    ) -> None:
        self._what, self._total, self._start = what, total, start
        self._amount = amount or f"{total or 0:,} {unit}"
        self._write = write or _print
        self._done, self._begun, self._written = start, time.monotonic(), float("-inf")
        drawn = wanted is not False and sys.stderr.isatty()
        self._bar = _bar(what, total, unit=unit, start=start) if drawn else None
        self._lines = wanted is True and not drawn

    def __enter__(self) -> Meter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, number: int) -> None:
        """Counts so many units more."""
        self.at(self._done + number)

    def at(self, done: int, note: str = "") -> None:
        """Shows that so many units are done, the ``start`` included; ``note`` stands beside them."""
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done - self._done)
        self._done = done
        now = time.monotonic()
        if self._lines and self._total and (done >= self._total or now - self._written > _PAUSE):
            self._written = now
            self._write(self._line(now - self._begun, note))

    def say(self, line: str) -> None:
        """Writes a line of its own, above the bar where there is one, unless the meter is silent."""
        self.clear()
        if self._bar is not None or self._lines:
            self._write(line)

    def clear(self) -> None:
        """Takes the bar off the terminal until the next units are done, for what others write there."""
        if self._bar is not None:
            self._bar.clear()

    def _line(self, seconds: float, note: str) -> str:
        total = self._total or 0
        # By this run's own work: units that an earlier run had done took no time here.
        rest = seconds * (total - self._done) / max(self._done - self._start, 1)
        time_left = f"{rest:,.0f} s left" if rest < 600 else f"{rest / 60:,.0f} min left"
        share = f"{self._what}: {self._done / total:4.0%} of {self._amount}"
        return ", ".join(part for part in (share, note, time_left) if part)


def _bar(what: str, total: int | None, *, unit: str, start: int) -> Any:
    from tqdm import tqdm  # takes 0.05 s, and only a terminal needs it

    return tqdm(
        desc=what,
        total=total,
        initial=start,
        unit=unit if unit == "B" else f" {unit}",
        unit_scale=unit == "B" or (total or 0) >= _MANY,
        delay=_DELAY,
        mininterval=_REFRESH,
        miniters=1,
        smoothing=0.0,  # the mean: a pause now and then, as a validation, belongs to the work
        dynamic_ncols=True,
        leave=False,
    )


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
