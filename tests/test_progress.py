"""A bar for eyes, lines for files, silence for what is short or not wanted; nothing on standard output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.files.progress import Meter

termios = pytest.importorskip("termios", reason="the platform has no pseudo-terminals")

#: Work of ten steps, each of which takes as long as the first argument says; the others are options.
WORK = """
import sys, time
from dirag.files import progress
progress._DELAY, progress._REFRESH = 0.5, 0.0
pause, options = float(sys.argv[1]), eval(sys.argv[2])
with progress.Meter("work", **{"total": 10_000, "unit": "B", **options}) as meter:
    for step in range(options.get("start", 0) // 1000 + 1, 11):
        time.sleep(pause)
        meter.at(1000 * step, f"loss {step}")
        if step == 5:
            meter.say("half of it")
            print("result", flush=True)
assert ("tqdm" in sys.modules) == (sys.stderr.isatty() and options.get("wanted") is not False)
"""


def on_terminal(pause: float, **options: object) -> str:
    """What the work shows on a terminal of 80 columns."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(
        [sys.executable, "-c", WORK, str(pause), repr(options)], stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        assert process.stdout
        assert process.stdout.read() == b"result\n"
    os.close(ours)
    assert process.returncode == 0
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux ends a terminal that nobody writes to any more in this way
        return b""


def screen(shown: str) -> list[str]:
    """The lines that stay on the screen, of text with carriage returns."""
    lines = []
    for line in shown.replace("\r\n", "\n").split("\n"):
        cells: list[str] = []
        for part in line.replace("\x1b[A", "").split("\r"):
            cells[: len(part)] = part
        lines.append("".join(cells).strip())
    return [line for line in lines if line]


def test_a_terminal_shows_share_bytes_rate_time_left_and_note() -> None:
    shown = on_terminal(0.1)
    drawn = re.search(r"work: +80%\|.*\| 8\.00k/10\.0k \[00:00<00:00, [\d.]+kB/s, loss 8\]", shown)
    assert drawn, repr(shown)
    assert "work:  10%" not in shown, "a bar before the delay has passed"
    assert screen(shown) == ["half of it"]


def test_work_that_goes_on_counts_from_where_it_was() -> None:
    shown = on_terminal(0.2, start=4000)
    assert "work:  80%" in shown
    rates = [float(rate) for rate in re.findall(r", +([\d.]+)kB/s", shown)]
    assert rates
    assert max(rates) < 5.5, "what was done before counts as done now"


@pytest.mark.parametrize("pause, options", [(0.0, {}), (0.1, {"wanted": False})])
def test_short_work_and_unwanted_meters_draw_nothing(pause: float, options: dict[str, object]) -> None:
    shown = on_terminal(pause, **options)
    assert "work" not in shown
    assert screen(shown) == ([] if options else ["half of it"])


def test_work_of_unknown_size_shows_number_and_rate() -> None:
    shown = on_terminal(0.1, total=None, unit="documents")
    assert re.search(r"work: 8000 documents \[00:00, [\d.]+ documents/s, loss 8\]", shown), repr(shown)


@given(st.integers(1, 50), st.data())
def test_elsewhere_a_line_now_and_then_and_one_at_the_end(total: int, data: st.DataObject) -> None:
    """A clock that stands still shows the first line and the last; who is not asked is silent."""
    start = data.draw(st.integers(0, total - 1))
    for wanted in (True, None, False):
        lines: list[str] = []
        with Meter("work", total, unit="steps", start=start, wanted=wanted, write=lines.append) as meter:
            for done in range(start + 1, total + 1):
                meter.add(1)
                assert len(lines) == (wanted is True) * (1 + (done == total > start + 1))
        shares = [line.split("%")[0].removeprefix("work:").strip() for line in lines]
        ends = [f"{(start + 1) / total:.0%}", "100%"] if total > start + 1 else ["100%"]
        assert [f"{share}%" for share in shares] == (ends if wanted else [])
        assert all(line.endswith(("s left", "min left")) for line in lines)


def test_the_time_left_is_that_of_what_is_left_at_the_speed_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    lines: list[str] = []
    meter = Meter("work", 1000, unit="steps", amount="it all", start=100, wanted=True, write=lines.append)
    for seconds, done, note in ((10, 200, ""), (15, 220, ""), (21, 300, "loss 1"), (800, 310, "")):
        now = float(seconds)
        meter.at(done, note)
    assert lines == [
        "work:  20% of it all, 80 s left",
        "work:  30% of it all, loss 1, 74 s left",
        "work:  31% of it all, 44 min left",
    ]


def test_lines_go_to_standard_error(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with Meter("work", 2, unit="steps", wanted=True) as meter:
        meter.say("begun")
        meter.at(2)
    assert capfd.readouterr() == ("", "begun\nwork: 100% of 2 steps, 0 s left\n")
