"""Files and folders that appear whole or not at all: written beside their place, forced to disk, renamed.

What a killed process leaves is named ``.NAME.part-*``; whoever writes NAME next removes it once it is old.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

_STALE = 3600.0  # seconds; a younger part may belong to a process that is still writing it


@contextlib.contextmanager
def new_file(target: Path, *, private: bool = False) -> Iterator[Path]:
    """Yields the path of an empty file that replaces ``target`` unless the block raises.

    ``private``: for the owner only; else the umask decides.
    """
    sweep(target)
    # Beside the target, not in /tmp: a rename is atomic within one file system only.
    part = _beside(target)
    part.touch(0o600 if private else 0o666, exist_ok=False)
    try:
        yield part
        # In this order: after a crash a file system may keep the rename and lose the bytes, and the rename
        # itself is safe only when its folder was synced.
        _sync(part)
        part.replace(target)
        _sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(target: Path, *, private: bool = False, replace: bool = True) -> Iterator[Path]:
    """Yields an empty folder that becomes ``target`` unless the block raises.

    A folder that stands there by then goes, or stays where ``replace`` is False. Of processes that place the
    same folder at the same moment the first wins.
    """
    sweep(target)
    part = _beside(target)
    part.mkdir(0o700 if private else 0o777)
    try:
        yield part
        for path in (*part.rglob("*"), part):  # a folder's entries are its own bytes: files first, then it
            _sync(path)
        _rename(part, target, replace=replace)
        _sync(target.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def sweep(target: Path, *, age: float = _STALE) -> None:
    """Removes the parts of ``target`` that killed processes left, if they are ``age`` seconds old."""
    for part in target.parent.glob(f"{_stem(glob.escape(target.name))}*"):
        with contextlib.suppress(FileNotFoundError):  # another process sweeps too
            if time.time() - part.stat().st_mtime < age:
                continue
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink()


def _rename(part: Path, target: Path, *, replace: bool) -> None:
    # rename() refuses to replace a folder that is not empty, and no system call that Python offers exchanges
    # two: of a process that is killed between these renames the old folder stays as ".NAME.part-….old" only.
    old = part.with_name(f"{part.name}.old")
    if replace:
        with contextlib.suppress(FileNotFoundError):
            target.rename(old)
    try:
        part.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was first
            with contextlib.suppress(FileNotFoundError):
                old.rename(target)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _beside(target: Path) -> Path:
    # Random, not the process id: processes on two machines share a folder, and ids come again.
    return target.with_name(f"{_stem(target.name)}{secrets.token_hex(4)}")


def _stem(name: str) -> str:
    return f".{name.removeprefix('.')}.part-"


def _sync(path: Path) -> None:
    if os.name != "nt":
        handle = os.open(path, os.O_RDONLY)
    elif path.is_file():
        handle = os.open(path, os.O_RDWR)  # Windows flushes what may be written only, and no folder
    else:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
