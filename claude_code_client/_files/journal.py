"""Journal of submitted tasks: a submit is on disk before it is sent, so that a crash loses no task.

The file has one JSON object per line, and grows by appending: ``{"key", "body", "timeout"}`` before the request,
``{"key", "task_id"}`` after the response, ``{"key", "done": true}`` once the task needs no recovery. It contains
prompts but never an API key, and only its owner may read it. What is settled is dropped when the file is opened, and
when it has grown: a shorter file takes its place.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
from claude_code_api.defaults import CREATE_TASK_REQUEST_TIMEOUT

from .._config import MAX_TIMEOUT
from ..errors import ConfigurationError
from . import journal_file

logger = logging.getLogger("claude_code_client")

_COMPACT_AT: Final = 64 * 1024
"""Bytes of settled lines at which the file is replaced by a shorter one."""


@attrs.frozen(kw_only=True)
class Entry:
    """Submit that is not known to have ended."""

    key: str
    """``Idempotency-Key`` of the submit."""
    body: dict[str, Any] = attrs.field(repr=False)
    timeout: float
    """Timeout of the call in seconds."""
    task_id: str | None = None
    """None if no response was recorded: the server may have the task or not."""


class Journal:
    """Journal file. Threads and processes may share it: each line is one append."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raise ConfigurationError if the file cannot be opened for reading and writing."""
        self._path = Path(path).absolute()
        self._lock = threading.Lock()
        self._settled = 0
        """Bytes that this process has settled since the file was last replaced."""
        self._sizes: dict[str, int] = {}
        with self._journal_errors(), journal_file.locked(self._path) as file:
            try:
                journal_file.restrict(file)
            except PermissionError:
                logger.warning("the journal %s belongs to another user and contains prompts", self._path)
            self._compact(file)

    @property
    def path(self) -> Path:
        """Absolute path of the file."""
        return self._path

    def submitting(self, key: str, body: dict[str, Any], timeout: float) -> None:
        """Record a request that is about to be sent."""
        self._append({"key": key, "body": body, "timeout": timeout})

    def submitted(self, key: str, task_id: str) -> None:
        """Record the task that the server created."""
        self._append({"key": key, "task_id": task_id})

    def done(self, key: str) -> None:
        """Record that the task has ended or does not exist."""
        self._append({"key": key, "done": True})

    def unfinished(self) -> list[Entry]:
        """Return the submits to recover, oldest first."""
        with self._journal_errors():
            return list(_unfinished(self._records()))

    def _append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, ensure_ascii=False).encode(errors="surrogatepass") + b"\n"
        key = record["key"]
        with self._lock, self._journal_errors(), journal_file.locked(self._path) as file:
            journal_file.append(file, line, self._path)
            self._sizes[key] = self._sizes.get(key, 0) + len(line)
            if record.get("done"):
                self._settled += self._sizes.pop(key)
                if self._settled >= _COMPACT_AT:
                    self._compact(file)

    def _compact(self, file: int) -> None:
        self._settled = 0
        try:
            journal_file.replace(file, self._path, _without_settled)
        except OSError as error:
            # The records are there, only more of them than needed.
            logger.debug("the journal %s was not compacted: %s", self._path, error.strerror)

    @contextmanager
    def _journal_errors(self) -> Iterator[None]:
        """Convert the errors of the file system to ConfigurationError."""
        problem = None
        try:
            yield
        except (OSError, ValueError) as error:
            problem = error.strerror if isinstance(error, OSError) else str(error)
        if problem is not None:
            raise ConfigurationError(
                f"Cannot use the journal {self._path}: {problem}. Pass the path of a file that can be written.",
                param="journal",
            )

    def _records(self) -> Iterator[dict[str, Any]]:
        for line in self._path.read_bytes().splitlines():
            record = _record(line)
            if record is not None:
                yield record


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None  # cut short by a crash
    return record if isinstance(record, dict) and isinstance(record.get("key"), str) else None


def _without_settled(data: bytes) -> bytes:
    """Return the lines that recovery needs, and those that are no journal's."""
    lines = data.splitlines(keepends=True)
    records = [_record(line) for line in lines]
    settled = {record["key"] for record in records if record is not None and record.get("done")}
    submits = {record["key"] for record in records if record is not None and "body" in record} - settled
    return b"".join(
        line
        for line, record in zip(lines, records, strict=True)
        if (record["key"] in submits if record is not None else not line.startswith(b'{"key": "'))
    )


def _unfinished(records: Iterable[dict[str, Any]]) -> Iterable[Entry]:
    entries: dict[str, Entry] = {}
    for record in records:
        key = record["key"]
        if record.get("done"):
            entries.pop(key, None)
        elif isinstance(record.get("body"), dict):
            entries.setdefault(key, Entry(key=key, body=record["body"], timeout=_timeout(record.get("timeout"))))
        elif isinstance(record.get("task_id"), str) and key in entries:
            entries[key] = attrs.evolve(entries[key], task_id=record["task_id"])
    return entries.values()


def _timeout(value: Any) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_TIMEOUT
    return float(value) if usable else float(CREATE_TASK_REQUEST_TIMEOUT)
