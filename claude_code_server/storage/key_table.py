"""Table of the keys that were created with ``claude-code-client keys``.

The server reads it while the command changes it, each on a connection of its own.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from ..domain.api_key import StoredKey
from ..domain.permissions import Permissions

_NEWEST_LAST: Final = "ORDER BY created_at, id"


class KeyTable:
    """Stored keys. Methods that change something are one transaction each, and raise sqlite3.Error if it fails."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Use a connection whose rows are ``sqlite3.Row``."""
        self._db = db

    def version(self) -> int:
        """Return a number that changes with every transaction of other connections. Takes microseconds."""
        return int(self._fetch("PRAGMA data_version")[0][0])

    def every(self) -> list[StoredKey]:
        """Return all keys, revoked ones included, oldest first."""
        return [_key_from_row(row) for row in self._fetch(f"SELECT * FROM api_keys {_NEWEST_LAST}")]  # noqa: S608

    def active(self, now: str) -> list[StoredKey]:
        """Return the keys that are neither revoked nor expired at ``now`` (ISO 8601)."""
        sql = f"SELECT * FROM api_keys WHERE revoked_at IS NULL AND coalesce(expires_at > ?, 1) {_NEWEST_LAST}"  # noqa: S608
        return [_key_from_row(row) for row in self._fetch(sql, now)]

    def find(self, name_or_id: str) -> StoredKey | None:
        """Return the key with an ID, or else the one with a name that is not revoked."""
        sql = "SELECT * FROM api_keys WHERE id = ? OR (name = ? AND revoked_at IS NULL) ORDER BY revoked_at LIMIT 1"
        rows = self._fetch(sql, name_or_id, name_or_id)
        return _key_from_row(rows[0]) if rows else None

    def add(self, key: StoredKey) -> None:
        """Store a new key. Raise sqlite3.IntegrityError if a key that is not revoked has its name."""
        with self._db:
            self._db.execute(
                "INSERT INTO api_keys (id, name, hash, preset, permissions, created_at, expires_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    key.id,
                    key.name,
                    key.key_hash,
                    key.preset,
                    json.dumps(key.permissions.changed()),
                    key.created_at,
                    key.expires_at,
                ),
            )

    def revoke(self, key_id: str, at: str) -> None:
        """Mark a key as revoked, unless it was before."""
        with self._db:
            self._db.execute("UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (at, key_id))

    def replace_hash(self, key_id: str, key_hash: str) -> None:
        """Replace the secret of a key."""
        with self._db:
            self._db.execute("UPDATE api_keys SET hash = ? WHERE id = ?", (key_hash, key_id))

    def set_last_used(self, key_id: str, at: str) -> None:
        """Note when a key was used last."""
        with self._db:
            self._db.execute("UPDATE api_keys SET last_used_at = ? WHERE id = ?", (at, key_id))

    def _fetch(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with closing(self._db.execute(sql, values)) as cursor:
            return cursor.fetchall()


def _key_from_row(row: sqlite3.Row) -> StoredKey:
    return StoredKey(
        id=row["id"],
        name=row["name"],
        key_hash=row["hash"],
        preset=row["preset"],
        permissions=Permissions.from_fields(json.loads(row["permissions"])),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )


@contextmanager
def open_key_table(file: Path) -> Iterator[KeyTable]:
    """Open the keys of a store that exists, which a server may be using."""
    with closing(sqlite3.connect(file)) as db:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA synchronous = FULL")
        yield KeyTable(db)
