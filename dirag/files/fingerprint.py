"""What decides an output, known by its content: digests of files and folders, versions of libraries.

The digest of a large file is kept in the cache beside its size and times, so that later runs need not read
it again.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from dirag.errors import ArtifactError
from dirag.files import atomic
from dirag.files.paths import private_folder

_CPUINFO = Path("/proc/cpuinfo")  # Linux only
_SAMPLES = 64  # blocks of a large file that stand for all of it
_BLOCK = 4096  # bytes
_LARGE = 64 << 20  # bytes that take longer to read than a clock needs to move on


def digest(path: Path) -> str:
    """Returns the sha256 of a file, or of the names and digests of all files below a folder but hidden ones.

    Raises ArtifactError where one cannot be read.
    """
    try:
        if not path.is_dir():
            return _digest(path)
        inside = sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file())
        # Hidden files are left out: notes of file managers and version control change no output.
        shown = [file for file in inside if not any(part.startswith(".") for part in file.parts)]
        return of(*(f"{file.as_posix()} {_digest(path / file)}".encode() for file in shown))
    except OSError as error:
        raise ArtifactError(f"cannot read {error.filename or path}: {error.strerror}") from error


def sha256(file: Path) -> str:
    """Returns the sha256 of what a file holds now; OSError is left to the caller, who knows what it is."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def samples(file: Path) -> Iterator[bytes]:
    """Yields blocks from all over a file: enough to tell weights apart, at a cost that no size raises."""
    with file.open("rb") as stream:
        size = file.stat().st_size
        for start in range(0, size, max(_BLOCK, size // _SAMPLES)):
            stream.seek(start)
            yield stream.read(_BLOCK)


def of(*parts: bytes) -> str:
    """Returns the sha256 of several values; no two lists of values without line ends have the same."""
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


def version(library: str = "dirag") -> str:
    """Returns the installed version of a library, "none" of one that is not there."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:  # raised for dirag too, in a checkout that is not installed
        return "none"


def versions(*libraries: str) -> dict[str, str]:
    """Returns the ``version`` of each library."""
    return {name: version(name) for name in libraries}


def processor() -> str:
    """Returns the instruction sets of this processor: engines choose kernels, and so rounding, by them."""
    try:
        lines = _CPUINFO.read_text("utf-8").splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return f"{platform.machine()} {flags.partition(':')[2].strip() or platform.processor()}"


def _digest(file: Path) -> str:
    stat = file.stat()
    if stat.st_size < _LARGE:
        return sha256(file)
    # The time of change, too: tools set the time of modification back, as `cp -p` and rsync do.
    state = (file.resolve(), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    folder = private_folder("digests")
    note = folder / of(*(str(value).encode("utf-8", "surrogateescape") for value in state))
    if note.is_file() and len(known_digest := note.read_text("ascii")) == 64:
        return known_digest
    digest = sha256(file)
    with atomic.new_file(note, private=True) as part:
        part.write_text(digest, "ascii")
    return digest
