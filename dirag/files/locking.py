"""Locks between processes, on every platform: one holds a file, the others wait or are refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dirag.errors import DiragError


@contextmanager
def locked(path: Path, *, busy: DiragError | None = None) -> Iterator[None]:
    """Holds the lock of the file ``path``, which is made if it is absent; a killed process lets go of it.

    Where another process holds it this one waits, or raises ``busy``.
    """
    from filelock import FileLock, Timeout  # takes 0.1 s, and only fetching and building need it

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0 if busy else -1)
    except Timeout as error:
        assert busy, "without a limit of time there is no timeout"
        raise busy from error
    try:
        yield
    finally:
        lock.release()
