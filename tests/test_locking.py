"""A lock is held by one process at a time, and by none that was killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dirag.errors import ArtifactError
from dirag.files.locking import locked

HOLDER = """
import sys
from pathlib import Path
from dirag.files.locking import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline().strip() == b"held"
    return process


def test_a_lock_that_another_process_holds_is_refused_until_it_ends(tmp_path: Path) -> None:
    path, busy = tmp_path / "x.lock", ArtifactError("busy")
    with holder(path) as other:
        with pytest.raises(ArtifactError, match="busy"), locked(path, busy=busy):
            pytest.fail("both hold it")
        other.communicate(b"")
    with locked(path, busy=busy):
        pass


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    with holder(tmp_path / "x.lock") as other:
        other.kill()
    with locked(tmp_path / "x.lock", busy=ArtifactError("busy")):
        pass


def test_without_a_refusal_one_waits_for_the_other(tmp_path: Path) -> None:
    entered = threading.Event()

    def enter() -> None:
        with locked(tmp_path / "x.lock"):
            entered.set()

    with locked(tmp_path / "x.lock"):
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.3)
    assert entered.wait(10)
    thread.join()


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "x.lock"):
        raise ZeroDivisionError
    with locked(tmp_path / "x.lock", busy=ArtifactError("busy")):
        pass
