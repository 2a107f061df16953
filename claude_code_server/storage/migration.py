"""Migration of a database to the present version of its schema."""

from __future__ import annotations

import sqlite3

from .schema import MIGRATIONS, SCHEMA, VERSION


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
    db.execute("PRAGMA journal_mode = WAL")
    if version == 0:
        db.executescript(SCHEMA)
        return
    for earlier in range(version, VERSION):
        db.executescript(MIGRATIONS[earlier])
