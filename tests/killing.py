"""Kills a run where it puts a file in its place: a kill at any other moment leaves the same on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

import pytest


class Killed(BaseException):
    """What nothing catches."""


@contextmanager
def killed_at(pattern: str, number: int, *, after: bool = False) -> Iterator[None]:
    """Raises Killed before or after the ``number``th rename to a name like ``pattern``, and expects it."""
    calls = 0

    def counted(real: object) -> object:
        def rename(source: str | Path, target: str | Path) -> None:
            nonlocal calls
            calls += fnmatch(Path(target).name, pattern)
            hit = calls == number and fnmatch(Path(target).name, pattern)
            if hit and not after:
                raise Killed
            real(source, target)  # type: ignore[operator]
            if hit:
                raise Killed

        return rename

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", counted(os.replace))
        patch.setattr(os, "rename", counted(os.rename))
        with pytest.raises(Killed):
            yield
