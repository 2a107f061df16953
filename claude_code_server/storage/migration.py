"""Migration of a database to the present version of its schema."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Final

from .schema import MIGRATIONS, SCHEMA, VERSION

_PAGES_TO_REWRITE: Final = 50_000
"""Rewriting this many pages, 200 MB, takes about a second."""


class LaterVersionError(Exception):
    """A later version of the server wrote the database."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"a later version of the server wrote it (version {version} of the state, this server knows {VERSION}):"
            " install that version again, or choose another --state-dir"
        )


def migrate(db: sqlite3.Connection) -> None:
    """Create the tables, or update those of an earlier version step by step, each step whole or not at all.

    Raise LaterVersionError, before anything is written, and sqlite3.Error.
    """
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise LaterVersionError(version)
    # Before the first table: with it, freed pages go back to the file system in steps.
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    if version == 0:
        db.executescript(SCHEMA)
        return
    for earlier in range(version, VERSION):
        db.executescript(MIGRATIONS[earlier])
    _return_freed_pages(db)


def _return_freed_pages(db: sqlite3.Connection) -> None:
    """Make a file of an earlier version return its freed pages, unless it is too large to rewrite at a start."""
    mode, pages = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("auto_vacuum", "page_count"))
    if mode == 0 and pages <= _PAGES_TO_REWRITE:
        with contextlib.suppress(sqlite3.Error):
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("VACUUM")
