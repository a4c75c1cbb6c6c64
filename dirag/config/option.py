"""An option beside its name and default: how it is shown, what it bears on, and which values it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dirag.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Option:
    """How a field of ``Config`` is shown to users, and what it bears on: the one place that says so.

    ``decides``: it changes what a run says, and not only how the run goes; runs that differ in it are not
    resumed or compared as one. ``engine``: an answer of the engine depends on it beyond prompt and weights,
    so it is part of a cached answer's key. ``grid``: `dirag eval` takes several values. ``training``: `dirag
    train adapter` has it. ``adapter``: the settings of an adapter may set it.
    """

    help: str
    metavar: str = ""
    choices: Sequence[str] = ()
    minimum: float | None = None
    maximum: float | None = None
    decides: bool = True
    engine: bool = False
    grid: bool = True
    training: bool = True
    adapter: bool = False

    @property
    def varies(self) -> bool:
        """Tells whether an evaluation may have several values of it: what decides nothing has one for all."""
        return self.decides and self.grid

    def checked(self, name: str, value: Any, default: object) -> Any:
        """Returns the value in the type of the default; raises UsageError where the option cannot have it."""
        if isinstance(default, tuple):
            names = split_names(value) if isinstance(value, str) else value
            if isinstance(names, Sequence) and all(isinstance(n, str) and self._admits(n) for n in names):
                return tuple(names)
        else:
            if isinstance(default, float) and type(value) is int:
                value = float(value)
            # Not isinstance: True is an int in Python, and no number of anything here.
            if type(value) is type(default) and self._admits(value):
                return value
        raise UsageError(f"option {name!r} is {value!r}", hint=f"give {self._domain(default)}")

    def _admits(self, value: Any) -> bool:
        """Tells whether a value is one of the choices and within the bounds."""
        return (
            (not self.choices or value in self.choices)
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
        )

    def _domain(self, default: object) -> str:
        """Says in words which values the option can have."""
        if self.choices:
            return f"{'some' if isinstance(default, tuple) else 'one'} of {', '.join(self.choices)}"
        kinds = {bool: "True or False", int: "a whole number", float: "a number", str: "a string"}
        kind = kinds.get(type(default), "names, as a list or with commas between them")
        lowest = "" if self.minimum is None else f", {self.minimum:g} or more"
        highest = "" if self.maximum is None else f", {self.maximum:g} at most"
        return kind + lowest + highest


def option(default: T, shown: Option) -> T:
    """Declares a field of ``Config`` with its default."""
    declared: T = field(default=default, metadata={"option": shown})
    return declared


def split_names(value: str) -> tuple[str, ...]:
    """Returns the names of a comma-separated list, without blanks and repeats."""
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
