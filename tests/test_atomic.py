"""What is under a name is whole, old or new, whatever happens to the process that writes it."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.files import atomic

NEW = {"file": atomic.new_file, "folder": atomic.new_folder}

names = st.text("ab[]*?. é", min_size=1, max_size=8).filter(lambda name: name.strip("."))
contents = st.dictionaries(st.sampled_from(["a", "b", "sub/c", ".hidden"]), st.binary(max_size=20))


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


def read(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@given(names, st.none() | st.binary(), st.binary(), st.booleans())
def test_a_file_is_replaced_unless_its_writer_fails(
    tmp_path_factory: pytest.TempPathFactory, name: str, old: bytes | None, new: bytes, fails: bool
) -> None:
    target = tmp_path_factory.mktemp("files") / name
    if old is not None:
        target.write_bytes(old)
    try:
        with atomic.new_file(target) as part:
            part.write_bytes(new)
            assert (target.read_bytes() if target.exists() else None) == old
            if fails:
                raise InterruptedError
    except InterruptedError:
        assert fails
    assert (target.read_bytes() if target.exists() else None) == (old if fails else new)
    assert set(target.parent.iterdir()) <= {target}


@given(names, st.none() | contents, contents, st.booleans(), st.booleans())
def test_a_folder_is_replaced_unless_its_writer_fails_or_it_is_to_stay(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    old: Mapping[str, bytes] | None,
    new: Mapping[str, bytes],
    replace: bool,
    fails: bool,
) -> None:
    target = tmp_path_factory.mktemp("folders") / name
    if old is not None:
        target.mkdir()
        write(target, old)
    try:
        with atomic.new_folder(target, replace=replace) as part:
            write(part, new)
            assert (read(target) if target.exists() else None) == old
            if fails:
                raise InterruptedError
    except InterruptedError:
        assert fails
    stays = fails or (not replace and bool(old))
    assert (read(target) if target.exists() else None) == (old if stays else new)
    assert set(target.parent.iterdir()) <= {target}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
@pytest.mark.parametrize("kind", NEW)
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_mode_is_the_umasks_or_the_owners_only(tmp_path: Path, kind: str, umask: int) -> None:
    new: Callable[..., AbstractContextManager[Path]] = NEW[kind]
    every = 0o666 if kind == "file" else 0o777
    before = os.umask(umask)
    try:
        for private, mode in ((False, every & ~umask), (True, every & 0o700)):
            with new(tmp_path / "x", private=private) as part:
                assert stat.S_IMODE(part.stat().st_mode) == mode
            assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode
    finally:
        os.umask(before)


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be flushed there")
def test_everything_is_on_disk_before_its_name_is_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is what a loss of power must find; it cannot be seen from outside."""
    steps: list[str | int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: steps.append(os.fstat(handle).st_ino))
    rename, replace = Path.rename, Path.replace

    def naming(act: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def named(part: Path, target: Path) -> Path:
            steps.append("named")
            return act(part, target)

        return named

    monkeypatch.setattr(Path, "rename", naming(rename))
    monkeypatch.setattr(Path, "replace", naming(replace))
    with atomic.new_file(tmp_path / "file") as part:
        part.write_bytes(b"x")
    assert steps == [(tmp_path / "file").stat().st_ino, "named", tmp_path.stat().st_ino]
    steps.clear()
    with atomic.new_folder(tmp_path / "folder", replace=False) as part:
        write(part, {"a": b"x", "sub/c": b"y"})
    inodes = {path.stat().st_ino for path in (tmp_path / "folder", *(tmp_path / "folder").rglob("*"))}
    assert len(inodes) == 4
    assert set(steps[:4]) == inodes
    assert steps[4:] == ["named", tmp_path.stat().st_ino]


def test_old_parts_are_swept_and_young_ones_are_not(tmp_path: Path) -> None:
    for name in ("[x]", "other"):
        for state, age in (("old", 7200), ("young", 60)):
            part = tmp_path / f".{name}.part-{state}"
            part.mkdir() if state == "old" else part.touch()
            os.utime(part, (time.time() - age,) * 2)
    with atomic.new_file(tmp_path / "[x]"):
        pass
    rest = {"[x]", ".[x].part-young", ".other.part-old", ".other.part-young"}
    assert {path.name for path in tmp_path.iterdir()} == rest
    atomic.sweep(tmp_path / "[x]", age=0.0)
    assert {path.name for path in tmp_path.iterdir()} == rest - {".[x].part-young"}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a folder that cannot be written")
def test_a_folder_that_cannot_take_its_place_leaves_the_one_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, honest = tmp_path / "x", Path.rename
    target.mkdir()
    write(target, {"a": b"old"})

    def refusing(path: Path, place: Path) -> Path:
        if place == target and path.name[-4:] != ".old":
            raise PermissionError(13, "refused")
        return honest(path, place)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(PermissionError), atomic.new_folder(target) as part:
        write(part, {"a": b"new"})
    assert read(target) == {"a": b"old"}
    assert list(tmp_path.iterdir()) == [target]


WRITER = """
import itertools, sys
from pathlib import Path
from dirag.files import atomic
home = Path(sys.argv[1])
for number in itertools.count():
    data = str(number).encode() * 200_000
    with atomic.new_file(home / "file") as part:
        part.write_bytes(data)
    with atomic.new_folder(home / "folder") as part:
        for name in "abc":
            (part / name).write_bytes(data)
    print(number, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_what_a_killed_writer_leaves_under_a_name_is_whole(tmp_path: Path) -> None:
    chance, cut_short = random.Random(7), 0
    for _ in range(12):
        with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout
            writer.stdout.readline()
            time.sleep(chance.random() * 0.03)
            writer.send_signal(signal.SIGKILL)
        data = (tmp_path / "file").read_bytes()
        number = data[: len(data) // 200_000]
        assert data == number * 200_000
        if (tmp_path / "folder").exists():
            files = read(tmp_path / "folder")
            assert set(files) == set("abc")
            assert len(set(files.values())) == 1
        else:  # killed between the two renames
            assert list(tmp_path.glob(".folder.part-*.old"))
        cut_short += bool(list(tmp_path.glob(".*.part-*")))
        for target in ("file", "folder"):
            atomic.sweep(tmp_path / target, age=0.0)
    assert cut_short > 2, "nearly every kill came while nothing was being written"
