"""Vectors of many names, in a file that grows: a build that is killed goes on where it was.

In: names and an encoder. Out: float16 vectors in the order of the names' lengths, which wastes no padding,
and that order. The file lies beside the knowledge base that is being built, under a name made from the
names and the encoder, and is locked while it grows.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dirag.encoders.opening import identity
from dirag.errors import KnowledgeError
from dirag.files.locking import locked
from dirag.files.progress import Meter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.protocols import Embedder

_BATCH = 1024
_OVERHEAD = 8  # characters: what a name costs beside its own


def encode(
    names: Sequence[str], embedder: Embedder, target: Path, *, progress: bool | None = None
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Encodes names; returns their vectors and the order, of which row ``i`` is of name ``order[i]``.

    ``target`` is the place of the base that is being built.

    ``progress`` is the ``wanted`` of a meter.
    """
    import numpy as np

    lengths = np.fromiter(map(len, names), np.int64, len(names))
    order = np.argsort(lengths, kind="stable")  # stable: a build that goes on must meet the same order
    # Long names take longer than short ones: what is done and what is left are counted in characters.
    work = np.append(0, np.cumsum(lengths[order] + _OVERHEAD))
    path = checkpoint(names, embedder, target)
    path.parent.mkdir(parents=True, exist_ok=True)
    busy = KnowledgeError(f"another build is encoding the same names into {path}", hint="wait for it to end")
    with locked(path.with_name(f"{path.name}.lock"), busy=busy), path.open("ab+") as stream:
        _append(stream, names, order, work, embedder, progress)
    vectors = np.memmap(path, np.float16, "r", shape=(len(names), embedder.dimension))
    return vectors, order


def _append(
    stream: IO[bytes],
    names: Sequence[str],
    order: NDArray[np.int64],
    work: NDArray[np.int64],
    embedder: Embedder,
    progress: bool | None,
) -> None:
    """Writes the vectors that a file lacks; ``work[i]`` is the cost of the names before place i in order."""
    import numpy as np

    size, amount = 2 * embedder.dimension, f"{len(names):,} names"
    done = min(stream.seek(0, os.SEEK_END) // size, len(names))
    stream.truncate(done * size)  # a killed build may leave half a row
    stream.seek(done * size)
    start, total = int(work[done]), int(work[-1])
    with Meter("encoding", total, unit="characters", amount=amount, start=start, wanted=progress) as meter:
        if done:
            meter.say(f"encoding goes on at name {done:,} of {amount}")
        for place in range(done, len(names), _BATCH):
            batch = order[place : place + _BATCH]
            # float16 halves the file and changes a cosine of MiniLM's vectors by at most 1e-4.
            stream.write(embedder.embed([names[i] for i in batch]).astype(np.float16).tobytes())
            stream.flush()  # of a killed process only the last batch is lost
            meter.at(int(work[place + len(batch)]))


def checkpoint(names: Sequence[str], embedder: Embedder, target: Path) -> Path:
    """Returns the path where the vectors of these names grow, beside the base that is being built."""
    digest = hashlib.sha256(identity(embedder.name).encode())
    for name in names:
        data = name.encode("utf-8", "surrogatepass")
        # With the length before it: else "ab", "c" and "a", "bc" would share a file.
        digest.update(b"%d:%b" % (len(data), data))
    return target.with_name(f".{target.name}.vectors-{digest.hexdigest()[:16]}")


def discard(target: Path) -> None:
    """Removes the vectors that grew beside a base that is whole by now."""
    for path in target.parent.glob(f".{target.name}.vectors-*"):
        path.unlink(missing_ok=True)
