"""Vectors of many names, in a file that grows: a build that is killed goes on where it was.

In: names and an encoder. Out: float16 vectors in the order of the names' lengths, which wastes no padding,
and that order. The file lies beside the knowledge base that is being built, under a name made from the
names and the encoder, and is locked while it grows.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dirag.encoders.sentence import identity
from dirag.errors import KnowledgeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.protocols import Embedder

_BATCH = 1024


def encode(
    names: Sequence[str], embedder: Embedder, target: Path, *, progress: bool | None = None
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """The vectors and the order; row ``i`` is of name ``order[i]``. ``target`` is the base being built.

    With ``progress`` the share done and the time left go to standard error; None means on a terminal.
    """
    import numpy as np

    lengths = np.fromiter(map(len, names), np.int64, len(names))
    order = np.argsort(lengths, kind="stable")
    path = checkpoint(names, embedder, target)
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 2 * embedder.dimension
    with _locked(path) as stream:
        done = min(stream.seek(0, os.SEEK_END) // size, len(names))
        stream.truncate(done * size)  # a killed build may leave half a row
        stream.seek(done * size)
        report = _Report(lengths[order], done, progress)
        for start in range(done, len(names), _BATCH):
            batch = order[start : start + _BATCH]
            stream.write(embedder.embed([names[i] for i in batch]).astype(np.float16).tobytes())
            stream.flush()
            report.at(start + len(batch))
    vectors = np.memmap(path, np.float16, "r", shape=(len(names), embedder.dimension))
    return vectors, order


def checkpoint(names: Sequence[str], embedder: Embedder, target: Path) -> Path:
    """Where the vectors of these names grow, beside the base that is being built."""
    digest = hashlib.sha256(identity(embedder.name).encode())
    for name in names:
        data = name.encode("utf-8", "surrogatepass")
        digest.update(b"%d:%b" % (len(data), data))
    return target.with_name(f".{target.name}.vectors-{digest.hexdigest()[:16]}")


def discard(target: Path) -> None:
    """Remove the vectors that grew beside a base that is whole by now."""
    for path in target.parent.glob(f".{target.name}.vectors-*"):
        path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """The file, for one build at a time; where the platform has no ``fcntl`` nothing is locked."""
    with path.open("ab+") as stream:
        try:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass
        except BlockingIOError as error:
            raise KnowledgeError(
                f"another build is encoding the same names into {path}", hint="wait for it to end"
            ) from error
        yield stream


class _Report:
    """The share done and the time left, by characters, since long names take longer than short ones."""

    def __init__(self, lengths: NDArray[np.int64], done: int, wanted: bool | None) -> None:
        import numpy as np

        self._work = np.cumsum(lengths + 8)
        self._begun, self._from, self._shown = time.monotonic(), self._spent(done), 0.0
        self._wanted = sys.stderr.isatty() if wanted is None else wanted
        if done and self._wanted:
            print(f"encoding goes on at name {done:,} of {len(lengths):,}", file=sys.stderr)

    def _spent(self, done: int) -> int:
        return int(self._work[done - 1]) if done else 0

    def at(self, done: int) -> None:
        now, total = time.monotonic(), len(self._work)
        pause = 0.2 if sys.stderr.isatty() else 10.0
        if not self._wanted or (now - self._shown < pause and done < total):
            return
        self._shown = now
        spent, whole = self._spent(done) - self._from, int(self._work[-1]) - self._from
        left = (now - self._begun) * (whole - spent) / max(spent, 1)
        end = "\r" if sys.stderr.isatty() and done < total else "\n"
        share = f"{done / total:4.0%} of {total:,} names"
        print(f"encoding: {share}, {left:,.0f} s left   ", end=end, file=sys.stderr, flush=True)
