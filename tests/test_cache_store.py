"""The store of the response cache: what it keeps, for whom, how much, and what kills and damage cost."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.backends.cached.cache_store import CacheStore
from dirag.errors import BackendError

LIMIT = 1 << 24
FILE = "answers.sqlite"


@contextmanager
def opened(folder: Path, limit: int = LIMIT) -> Iterator[CacheStore]:
    with closing(CacheStore(folder, limit=limit)) as store:
        yield store


def answer(number: int, size: int = 400) -> bytes:
    return random.Random(number).randbytes(size)


def fill(folder: Path, numbers: range, limit: int = LIMIT) -> None:
    with opened(folder, limit) as store:
        for number in numbers:
            store.put(b"%d" % number, answer(number))


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from(["get", "put", "open"]), st.integers(0, 9), st.binary()), max_size=30)
)
def test_it_is_a_mapping_that_lasts(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, bytes]]
) -> None:
    folder, model = tmp_path_factory.mktemp("cache"), dict[bytes, bytes]()
    store = CacheStore(folder, limit=LIMIT)
    for step, number, value in steps:
        request = b"request %d" % number
        if step == "open":
            store.close()
            store = CacheStore(folder, limit=LIMIT)
        elif step == "put":
            store.put(request, value)
            model[request] = value
        assert store.get(request) == model.get(request)
    store.close()


def test_it_is_for_its_owner_alone_and_holds_no_request(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        folder = tmp_path / "made" / "cache"
        with opened(folder) as store:
            store.put(b"Zebrowska has gout", b"gout")
            during = {path.name: path.stat().st_mode for path in folder.iterdir()}
    finally:
        os.umask(previous)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(mode) for mode in during.values()} == {0o600}
    assert b"Zebrowska" not in (folder / FILE).read_bytes()


def test_what_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    fill(tmp_path / "cache", range(3))
    (tmp_path / "cache").chmod(0o755)
    (tmp_path / "cache" / FILE).chmod(0o644)
    fill(tmp_path / "cache", range(3))
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "cache" / FILE).stat().st_mode) == 0o600


def test_equal_requests_have_other_keys_in_other_stores(tmp_path: Path) -> None:
    keys = set()
    for name in "ab":
        fill(tmp_path / name, range(1))
        with closing(sqlite3.connect(tmp_path / name / FILE)) as db:
            keys |= set(db.execute("SELECT request, seal FROM answers").fetchall())
    assert len({key for key, _ in keys}) == len({seal for _, seal in keys}) == 2


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    tmp_path.chmod(0o755)
    with pytest.raises(BackendError, match=r"no folder of a cache: it holds notes\.txt"):
        CacheStore(tmp_path, limit=LIMIT)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    with pytest.raises(BackendError, match="cannot make the cache"):
        CacheStore(tmp_path / "notes.txt", limit=LIMIT)


@pytest.mark.parametrize("content", [b"not SQLite" * 100, b"SQLite format 3\0" + b"\xff" * 4080])
def test_a_file_that_is_no_store_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(BackendError, match=r"cannot open the cache .*delete this folder"):
        CacheStore(tmp_path, limit=LIMIT)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_store_of_another_schema_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, range(1))
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(BackendError, match="its schema is 99"):
        CacheStore(tmp_path, limit=LIMIT)


# -- size ------------------------------------------------------------------------------------------------


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    limit = 1 << 17
    for start in range(0, 1000, 50):
        fill(tmp_path, range(start, start + 50), limit)
        with opened(tmp_path, limit) as store:
            assert store.get(b"0") == answer(0)  # in use all the time
            assert store.get(b"%d" % (start + 49)) == answer(start + 49)
        assert (tmp_path / FILE).stat().st_size <= limit
    with opened(tmp_path, limit) as store:
        there = [number for number in range(1, 1000) if store.get(b"%d" % number) is not None]
        assert there[-1] == 999
        assert 100 < len(there) == there[-1] - there[0] + 1 < 300


def test_a_smaller_bound_takes_out_at_once(tmp_path: Path) -> None:
    fill(tmp_path, range(1000))
    before = (tmp_path / FILE).stat().st_size
    fill(tmp_path, range(1000, 1001), 1 << 16)
    assert (tmp_path / FILE).stat().st_size <= 1 << 16 < before
    with opened(tmp_path, 1 << 16) as store:
        assert store.get(b"1000") == answer(1000)


def test_an_answer_over_the_bound_is_not_kept(tmp_path: Path) -> None:
    with opened(tmp_path, 1 << 16) as store:
        store.put(b"large", answer(0, 1 << 17))
    with opened(tmp_path, 1 << 16) as store:
        assert store.get(b"large") is None
    assert (tmp_path / FILE).stat().st_size <= 1 << 16


# -- damage ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    fill(folder, range(60))
    return (folder / FILE).read_bytes()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=64)), min_size=1, max_size=20),
    st.booleans(),
)
def test_damage_never_makes_another_answer(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, torn: list[tuple[float, bytes]], cut: bool
) -> None:
    """Whatever a disk makes of the file: each answer is right or missing, and no exception ends a run."""
    folder, damaged = tmp_path_factory.mktemp("cache"), bytearray(whole)
    for place, piece in torn:
        at = int(place * (len(whole) - 1))
        damaged[at : at + len(piece)] = piece
    (folder / FILE).write_bytes(damaged[: 4096 * 5 + 99 if cut else len(whole)])
    try:
        store = CacheStore(folder, limit=LIMIT)
    except BackendError:
        return
    for number in range(60):
        assert store.get(b"%d" % number) in (answer(number), None)
        store.put(b"new %d" % number, b"")
    store.close()


def test_damage_is_counted_and_mended(tmp_path: Path, whole: bytes) -> None:
    at = whole.index(answer(7))
    (tmp_path / FILE).write_bytes(whole[: at + 9] + b"gout" + whole[at + 13 :])
    with opened(tmp_path) as store:
        assert [n for n in range(60) if store.get(b"%d" % n) is None] == [7]
        assert (store.damaged, store.trouble) == (1, "")
        store.put(b"7", answer(7))
    with opened(tmp_path) as store:
        assert store.get(b"7") == answer(7)


def test_a_store_that_fails_is_given_up_and_says_why(tmp_path: Path) -> None:
    fill(tmp_path, range(3))
    with opened(tmp_path) as store:
        with closing(sqlite3.connect(tmp_path / FILE)) as db:
            db.execute("DROP TABLE answers")
        assert store.get(b"1") is None
        assert store.trouble == "no such table: answers"
        store.put(b"1", b"x")
        assert store.get(b"1") is None


# -- several processes, and their end --------------------------------------------------------------------

WRITER = """
import random, sys
from pathlib import Path
from dirag.backends.cached.cache_store import CacheStore
store, chance = CacheStore(Path(sys.argv[1]), limit=int(sys.argv[2])), random.Random(sys.argv[3])
print("begun", flush=True)
for _ in range(int(sys.argv[4])):
    number = chance.randrange(2000)
    kept = store.get(b"%d" % number)
    value = random.Random(number).randbytes(400)
    assert kept in (None, value)
    if kept is None:
        store.put(b"%d" % number, value)
assert not store.damaged and not store.trouble, store.trouble
store.close()
"""


def writer(folder: Path, seed: int, steps: int, limit: int = LIMIT) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), str(limit), str(seed), str(steps)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_share_it(tmp_path: Path) -> None:
    limit = 1 << 19  # they evict each other's too
    writers = [writer(tmp_path, seed, 3000, limit) for seed in range(3)]
    assert [each.communicate()[0] for each in writers] == ["begun\n"] * 3
    assert [each.returncode for each in writers] == [0] * 3
    assert (tmp_path / FILE).stat().st_size <= limit
    with opened(tmp_path) as store:
        assert sum(store.get(b"%d" % number) == answer(number) for number in range(2000)) > 500


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_kill_in_the_middle_of_a_write_leaves_whole_answers(tmp_path: Path) -> None:
    """Killed while SQLite's journal is there, again and again, beside a process that lives on."""
    chance, journal, cut = random.Random(5), tmp_path / f"{FILE}-journal", 0
    fill(tmp_path, range(1000))
    with opened(tmp_path) as survivor:
        for seed in range(40):
            doomed = writer(tmp_path, seed, 100_000)
            assert doomed.stdout is not None
            doomed.stdout.readline()
            while not journal.exists():
                assert doomed.poll() is None
            time.sleep(chance.random() * 0.002)
            doomed.send_signal(signal.SIGKILL)
            doomed.communicate()
            cut += journal.exists()
            assert survivor.get(b"%d" % seed) in (answer(seed), None)
            survivor.put(b"%d" % seed, answer(seed))
            if cut == 4:
                break
        assert cut
        for number in range(2000):
            assert survivor.get(b"%d" % number) in (answer(number), None if number >= 1000 else b"")
        assert (survivor.damaged, survivor.trouble) == (0, "")
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
