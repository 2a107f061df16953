"""Stored keys that are active now. Changes that another process makes to the store take effect at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Final

import attrs

from ..domain.api_key import Caller, StoredKey
from ..domain.permissions import Permissions
from ..domain.timestamps import now
from ..runtime.error_logging import log_exception
from ..storage.key_table import KeyTable

_log = logging.getLogger(__name__)
_WATCH_INTERVAL: Final = 0.1
"""Seconds after which work of a key that has been revoked, or has expired, ends at the latest."""
_USE_INTERVAL: Final = 60.0
"""Seconds between two updates of the time at which a key was used last."""


@attrs.define(eq=False)
class _ActiveKey:
    key: StoredKey
    caller: Caller
    ended: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set when the key has been revoked, has expired or has been rotated."""
    used_at: float | None = None


class StoredKeys:
    """Keys of the store that are neither revoked nor expired."""

    def __init__(
        self, table: KeyTable, on_end: Callable[[str], object] = lambda _: None, clock: Callable[[], str] = now
    ) -> None:
        """Read the keys. ``on_end`` is called with the ID of a key that has been revoked or has expired."""
        self._table = table
        self._on_end = on_end
        self._clock = clock
        self._version = -1
        self._next_expiry: str | None = None
        self._active: dict[str, _ActiveKey] = {}
        """By hash."""
        self.callers: tuple[Caller, ...] = ()
        self._any = asyncio.Event()
        self.refresh()

    def refresh(self) -> None:
        """Read the keys again if any may have changed or expired. Raise sqlite3.Error if that fails."""
        version = self._table.version()
        if version == self._version and self._next_expiry is None:
            return
        at = self._clock()
        if version == self._version and self._next_expiry is not None and at < self._next_expiry:
            return
        before, active = self._active, {key.key_hash: key for key in self._table.active(at)}
        self._active = {
            hash_: before[hash_] if hash_ in before else _ActiveKey(key, Caller(key.id, hash_, key.permissions))
            for hash_, key in active.items()
        }
        self.callers = tuple(entry.caller for entry in self._active.values())
        self._next_expiry = min((key.expires_at for key in active.values() if key.expires_at), default=None)
        self._version = version
        if self._active:
            self._any.set()
        remaining = {caller.owner for caller in self.callers}
        for hash_ in before.keys() - self._active.keys():
            before[hash_].ended.set()
            if before[hash_].key.id not in remaining:
                self._on_end(before[hash_].key.id)

    def permissions(self, owner: str) -> Permissions | None:
        """Return the permissions of an active key by its ID."""
        return next((caller.permissions for caller in self.callers if caller.owner == owner), None)

    def ended(self, caller: Caller) -> asyncio.Event | None:
        """Return the event of a stored key's end; None for another key."""
        entry = self._active.get(caller.key_hash)
        return None if entry is None or entry.caller is not caller else entry.ended

    def note_use(self, caller: Caller) -> None:
        """Store that a key has been used, if it is time."""
        entry = self._active.get(caller.key_hash)
        if entry is None:
            return
        at = time.monotonic()
        if entry.used_at is not None and at - entry.used_at < _USE_INTERVAL:
            return
        entry.used_at = at
        # A full disk keeps nobody from reading.
        with contextlib.suppress(sqlite3.Error):
            self._table.set_last_used(entry.key.id, self._clock())

    async def watch(self) -> None:
        """End the work of keys soon after they end, although nobody makes a request."""
        while True:
            await self._any.wait()
            await asyncio.sleep(_WATCH_INTERVAL)
            try:
                self.refresh()
            except sqlite3.Error as error:
                log_exception(_log, "reading the stored keys", error)
                await asyncio.sleep(1)
