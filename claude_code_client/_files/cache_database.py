"""Database of a response cache: SQLite with a write-ahead log, of bounded size and age.

Each access opens the file anew. A connection that is kept would not survive a fork, and threads and signal handlers
would have to wait for one another; next to the call to a model that a hit saves, opening it costs nothing.

A cache may lose entries, never a caller's reply: whatever is wrong with the file is logged, and counts as a miss.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, TypeVar

import attrs

logger = logging.getLogger("claude_code_client")

T = TypeVar("T")

# Pages can be given back only in a file that was created for it, so this is set first.
_SCHEMA: Final = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
CREATE TABLE responses (key BLOB PRIMARY KEY, stored REAL NOT NULL, digest BLOB NOT NULL, body BLOB NOT NULL);
CREATE INDEX responses_by_age ON responses (stored);
"""
_DELETE_EXPIRED: Final = """
DELETE FROM responses WHERE rowid IN (SELECT rowid FROM responses WHERE stored < ? ORDER BY stored LIMIT 64)
"""
_DELETE_OLDEST: Final = """
DELETE FROM responses WHERE rowid IN (SELECT rowid FROM responses WHERE key != ? ORDER BY stored LIMIT 4)
"""
_MOST_ROUNDS: Final = 256
"""Deletions of the oldest entries that one write does at most; the next one goes on."""
_MOST_FREED: Final = 1024
"""Pages that one write gives back to the file system at most."""
_BUSY_TIMEOUT: Final = 1.0
"""Seconds to wait for another process that writes."""
_DAMAGED: Final = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""Error codes of a file that is no database of ours; the first one stands for a missing table."""


@attrs.frozen
class CacheDatabase:
    """Entries by key, in a file that only its owner may read. Threads and processes may share it."""

    path: Path
    max_bytes: int
    """Bytes of the file, without its write-ahead log."""
    max_age: float
    """Seconds."""

    def read(self, key: bytes) -> bytes | None:
        """Return the body of an entry; None if there is none, or it is too old or damaged."""
        if not self.path.exists():
            return None
        row = self._attempt("read", lambda: self._select(key))
        if row is None:
            return None
        stored, digest, body = row
        # The clock may have been set back since.
        if not isinstance(stored, float) or abs(time.time() - stored) > self.max_age:
            return None
        if not isinstance(body, bytes) or digest != _digest(key, body):
            logger.warning("An entry of the response cache %s is damaged; it is ignored.", self.path)
            return None
        return body

    def write(self, key: bytes, body: bytes) -> None:
        """Store an entry. Entries that are too old, or for which there is no room, are deleted."""
        if len(body) < self.max_bytes:
            self._attempt("write to", lambda: self._insert(key, body))

    def _attempt(self, action: str, work: Callable[[], T]) -> T | None:
        """Return the result of an access; None if it fails. A damaged file is replaced by an empty one."""
        problem: Exception
        try:
            return work()
        except (sqlite3.Error, OSError) as error:
            problem = error
        logger.warning("Cannot %s the response cache %s: %s.", action, self.path, problem)
        if isinstance(problem, sqlite3.Error) and getattr(problem, "sqlite_errorcode", -1) & 0xFF in _DAMAGED:
            try:
                self._replace()
            except (sqlite3.Error, OSError) as error:
                logger.warning("Cannot replace the damaged response cache %s: %s.", self.path, error)
        return None

    def _select(self, key: bytes) -> tuple[object, object, object] | None:
        with self._open() as connection:
            row: tuple[object, object, object] | None = connection.execute(
                "SELECT stored, digest, body FROM responses WHERE key = ?", (key,)
            ).fetchone()
        return row

    def _insert(self, key: bytes, body: bytes) -> None:
        if not self.path.exists():
            self._create()
        now = time.time()
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?)", (key, now, _digest(key, body), body)
            )
            connection.execute(_DELETE_EXPIRED, (now - self.max_age,))
            self._make_room(connection, key)
            connection.execute("COMMIT")

    def _make_room(self, connection: sqlite3.Connection, key: bytes) -> None:
        """Delete the oldest entries, other than this one, until the file has the size that it may have."""
        page_size = _number(connection, "page_size")
        pages = self.max_bytes // page_size
        for _ in range(_MOST_ROUNDS):
            used = _number(connection, "page_count") - _number(connection, "freelist_count")
            if used <= pages or connection.execute(_DELETE_OLDEST, (key,)).rowcount < 1:
                break
        if _number(connection, "page_count") > pages:
            connection.execute(f"PRAGMA incremental_vacuum({_MOST_FREED})").fetchall()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # SQLite creates the log and the shared memory with the mode of the file.
        if self.path.stat().st_mode & 0o077:
            self.path.chmod(0o600)
        # Never created here: it would be readable for others.
        uri = f"{self.path.as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT, isolation_level=None)) as connection:
            # A crash of the system may lose the last entries, but does not damage the file.
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection

    def _create(self) -> None:
        with self._new_file() as new:
            try:
                os.link(new, self.path)
            except FileExistsError:
                return  # another process was faster

    def _replace(self) -> None:
        with self._new_file() as new:
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            new.replace(self.path)

    @contextmanager
    def _new_file(self) -> Iterator[Path]:
        """Make an empty database under another name, so that nobody sees a file without its table."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path.with_name(f".{self.path.name}-{uuid.uuid4().hex}")
        try:
            os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            with closing(sqlite3.connect(new, isolation_level=None)) as connection:
                connection.executescript(_SCHEMA)
            yield new
        finally:
            new.unlink(missing_ok=True)


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    number: int = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    return number


def _digest(key: bytes, body: bytes) -> bytes:
    return hashlib.sha256(key + body).digest()
