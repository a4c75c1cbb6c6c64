"""Fixtures for what lies outside the repository: real corpora and model weights."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from dirag.files import artifacts, known


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora and vocabularies; the test is skipped where there is none."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DIRAG_TEST_DATA", default))
    if not (folder / "corpora").is_dir():
        pytest.skip(
            f"no corpora at {folder}; set DIRAG_TEST_DATA to the folder that holds corpora/ and vocab/"
        )
    return folder


@pytest.fixture(scope="session")
def weights() -> Callable[[str], Path]:
    """A function from a known name to its file or folder; the test is skipped where the store lacks it.

    The store is looked at when the test asks, before any test points ``DIRAG_HOME`` elsewhere.
    """
    found = {name: artifacts.find(name) for name in known.every()}

    def locate(name: str) -> Path:
        path = found[name]
        if path is None:
            pytest.skip(f"{name} is not in the store; run `dirag models pull {name}`")
        return path

    return locate


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would the processes of the tests."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
