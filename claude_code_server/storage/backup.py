"""Backup of a database while a server uses it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from .schema import VERSION


class BackupError(Exception):
    """There is no backup. The message is one line."""


def back_up(state_dir: Path, target: Path) -> int:
    """Copy the database of a state directory into the new file ``target``; return its size in bytes.

    The copy is one moment's state, is checked, and appears under its name only when it is complete; only its owner can
    read it. Raise BackupError, OSError or sqlite3.Error.
    """
    source_file = state_dir / "state.sqlite3"
    source_file.stat()
    if target.exists() or target.is_symlink():
        raise BackupError(f"{target} exists: a backup replaces no file")
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # for its owner alone
    os.close(descriptor)
    copy = Path(name)
    try:
        with (
            closing(sqlite3.connect(f"{source_file.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as db,
        ):
            source.backup(db)  # all at once: step by step, it would begin again whenever the server writes
            db.execute("PRAGMA journal_mode = DELETE")
            _check(db)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        try:
            target.hardlink_to(copy)  # unlike a rename, it never replaces a file
        except FileExistsError:
            raise BackupError(f"{target} exists: a backup replaces no file") from None
        return target.stat().st_size
    finally:
        copy.unlink(missing_ok=True)


def _check(db: sqlite3.Connection) -> None:
    [(result,), *_] = db.execute("PRAGMA integrity_check").fetchall()
    if result != "ok":
        raise BackupError(f"the database is damaged: {' '.join(str(result).split())}")
    [(version,)] = db.execute("PRAGMA user_version").fetchall()
    if not 1 <= version <= VERSION:
        raise BackupError(f"it is not the state of a server that this version knows (version {version} of the state)")
