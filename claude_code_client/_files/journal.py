"""Journal of submitted tasks: a submit is on disk before it is sent, so that a crash loses no task.

The file has one JSON object per line, and grows by appending: ``{"key", "body", "timeout"}`` before the request,
``{"key", "task_id"}`` after the response, ``{"key", "done": true}`` once the task needs no recovery. It contains
prompts but never an API key, and only its owner may read it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from claude_code_api.defaults import CREATE_TASK_REQUEST_TIMEOUT

from ..errors import ConfigurationError


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
        with self._journal_errors():
            os.close(self._open())

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

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        with self._lock, self._journal_errors():
            file = self._open()
            try:
                # A crash may have left an incomplete line, which must not run into this one.
                if _ends_within_a_line(file):
                    line = b"\n" + line
                os.write(file, line)
                os.fsync(file)
            finally:
                os.close(file)

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
            try:
                record = json.loads(line)
            except ValueError:
                continue  # cut short by a crash
            if isinstance(record, dict) and isinstance(record.get("key"), str):
                yield record


def _ends_within_a_line(file: int) -> bool:
    size = os.fstat(file).st_size
    return size > 0 and os.pread(file, 1, size - 1) != b"\n"


def _unfinished(records: Iterable[dict[str, Any]]) -> Iterable[Entry]:
    entries: dict[str, Entry] = {}
    for record in records:
        key = record["key"]
        if record.get("done"):
            entries.pop(key, None)
        elif isinstance(record.get("body"), dict):
            timeout = float(record.get("timeout") or CREATE_TASK_REQUEST_TIMEOUT)
            entries.setdefault(key, Entry(key=key, body=record["body"], timeout=timeout))
        elif isinstance(record.get("task_id"), str) and key in entries:
            entries[key] = attrs.evolve(entries[key], task_id=record["task_id"])
    return entries.values()
