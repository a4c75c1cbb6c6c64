"""Writes the files of a knowledge base: raw numbers, and texts with the places where they start."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def write_array(folder: Path, file: str, values: array[int] | NDArray[np.generic]) -> None:
    """Writes numbers as they lie in memory; their type is the suffix of the file, a code of ``array``."""
    (folder / file).write_bytes(values.tobytes())


class StringsWriter:
    """Writes byte strings one after the other, with the offset of each in an array beside them."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._stream = (folder / f"{name}.B").open("wb")
        self._offsets = array("q", [0])

    def __enter__(self) -> StringsWriter:
        return self

    def add(self, value: bytes) -> None:
        self._stream.write(value)
        self._offsets.append(self._offsets[-1] + len(value))

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        write_array(self._folder, f"{self._name}.q", self._offsets)
