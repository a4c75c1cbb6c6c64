"""Runs the command line in a process of its own, with none of the user's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DIRAG = (sys.executable, "-m", "dirag")


def environment(home: Path) -> dict[str, str]:
    """Returns the environment of this process without dirag's variables: weights in ``home``, offline."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("DIRAG_")}
    return plain | {"DIRAG_HOME": str(home), "DIRAG_OFFLINE": "1"}


def dirag(
    folder: Path, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs ``dirag`` in a folder, whose ``home`` holds its weights; streams are UTF-8."""
    return subprocess.run(
        [*DIRAG, *arguments],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        env=environment(folder / "home") | dict(env or {}),
        timeout=300,
        check=False,
    )


def output(folder: Path, *arguments: str) -> str:
    """Returns the standard output of a run of ``dirag`` that must succeed."""
    process = dirag(folder, *arguments)
    assert process.returncode == 0, process.stderr
    return process.stdout
