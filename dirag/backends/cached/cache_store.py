"""Answers kept in a folder for its owner alone: one SQLite file, bounded, shared by any number of processes.

A request is stored as a keyed digest, an answer as bytes with a digest that tells whether they are whole.
SQLite's rollback journal makes a write whole or undone, also where its process was killed; unlike its
write-ahead log it works on network file systems that lock. Refused: a folder with other things in it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import time
from pathlib import Path

from dirag.errors import BackendError

_FILE = "answers.sqlite"
_SCHEMA = 1
_WAIT = 10.0  # seconds for another process to end its write
_BATCH, _PAUSE = 64, 1.0  # answers, and seconds, between two writes
_TABLES = (
    "CREATE TABLE IF NOT EXISTS secret (one INTEGER PRIMARY KEY CHECK (one = 1), value BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS answers (request BLOB PRIMARY KEY, used REAL NOT NULL, seal BLOB NOT NULL,"
    " answer BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS by_use ON answers (used)",
)


class CacheStore:
    """At most ``limit`` bytes of answers; those that were used longest ago go first.

    ``damaged`` counts answers that were not whole, which are left out. What goes wrong later than at the
    opening ends the use of the store and not the run: ``trouble`` says what it was. What was put in during
    the last second is lost where the process is killed.
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        """Opens or makes the store. Raises BackendError where that cannot be."""
        self.folder, self._limit = folder, limit
        self.damaged, self.trouble = 0, ""
        self._fresh: dict[bytes, bytes] = {}
        self._touched: set[bytes] = set()
        self._written = time.monotonic()
        try:
            self._db: sqlite3.Connection | None = _open(_own_folder(folder) / _FILE)
            (self._secret,) = self._db.execute("SELECT value FROM secret").fetchone()
        except OSError as error:
            raise BackendError(f"cannot make the cache {folder}: {error.strerror}") from error
        except sqlite3.Error as error:
            raise BackendError(
                f"cannot open the cache {folder}: {error}",
                hint="delete this folder, or name one on a disk that can lock files with --cache",
            ) from error

    def get(self, request: bytes) -> bytes | None:
        """Returns the answer to a request, or None."""
        if self._db is None:
            return None
        key = self._keyed(request)
        if key in self._fresh:
            return self._fresh[key]
        try:
            rows = self._db.execute("SELECT seal, answer FROM answers WHERE request = ?", (key,)).fetchall()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        for seal, answer in rows:
            if isinstance(answer, bytes) and seal == self._keyed(key, answer):
                self._touched.add(key)
                self._write(at_once=False)
                return answer
            self.damaged += 1
        return None

    def put(self, request: bytes, answer: bytes) -> None:
        """Keeps an answer; one that is there already is replaced."""
        if self._db is not None:
            self._fresh[self._keyed(request)] = answer
            self._write(at_once=False)

    def close(self) -> None:
        self._write(at_once=True)
        if self._db is not None:
            self._db.close()
            self._db = None

    def _keyed(self, *parts: bytes) -> bytes:
        digest = hashlib.blake2b(key=self._secret, digest_size=32)
        for part in parts:
            digest.update(b"%d:%b" % (len(part), part))
        return digest.digest()

    def _write(self, *, at_once: bool) -> None:
        """Writes what is new, if it is much or old enough."""
        waiting = len(self._fresh) + len(self._touched)
        due = waiting >= _BATCH or time.monotonic() - self._written >= _PAUSE
        if self._db is None or not waiting or not (at_once or due):
            return
        now = time.time()
        used = [(now, key) for key in self._touched]
        rows = [(key, now, self._keyed(key, answer), answer) for key, answer in self._fresh.items()]
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany("UPDATE answers SET used = ? WHERE request = ?", used)
                self._db.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", rows)
                self._evict(self._db)
        except sqlite3.Error as error:
            self._give_up(error)
        self._fresh.clear()
        self._touched.clear()
        self._written = time.monotonic()

    def _evict(self, db: sqlite3.Connection) -> None:
        """Takes out what was used longest ago, until the file has its size again."""
        while _size(db) > self._limit:
            oldest = "SELECT request FROM answers ORDER BY used, rowid LIMIT ?"
            gone = db.execute(f"DELETE FROM answers WHERE request IN ({oldest})", (_BATCH // 4,))
            if not gone.rowcount:
                break

    def _give_up(self, error: sqlite3.Error) -> None:
        self.trouble = str(error)
        if self._db is not None:
            self._db.close()
            self._db = None


def _own_folder(folder: Path) -> Path:
    """Makes the folder if it is absent, and opens it to its owner alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    others = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(_FILE))
    if others:
        raise BackendError(
            f"{folder} is no folder of a cache: it holds {others[0]}",
            hint="name a folder of its own with --cache",
        )
    folder.chmod(0o700)
    return folder


def _open(file: Path) -> sqlite3.Connection:
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's journal takes the rights of the file
    file.chmod(0o600)
    db = sqlite3.connect(file, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA auto_vacuum = FULL")  # or the file would keep its size, whatever is evicted
        db.execute("PRAGMA synchronous = NORMAL")
        with db:
            db.execute("BEGIN IMMEDIATE")
            (schema,) = db.execute("PRAGMA user_version").fetchone()
            if schema not in (0, _SCHEMA):
                raise sqlite3.DatabaseError(f"its schema is {schema}, not {_SCHEMA}")
            for table in _TABLES:
                db.execute(table)
            # Of processes that open a new cache at once the first one's secret stays.
            db.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", (secrets.token_bytes(32),))
            db.execute(f"PRAGMA user_version = {_SCHEMA}")
    except sqlite3.Error:
        db.close()
        raise
    return db


def _size(db: sqlite3.Connection) -> int:
    """Bytes of the file after the transaction."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
