"""A journal of submits: what is about to be sent is on disk before it is, so that a crash loses no task.

One JSON object a line, appended: ``{"key", "body"}`` before the request, ``{"key", "task_id"}`` once the server has
answered, ``{"key", "done": true}`` once nobody has to look for the task any more. The file holds prompts, never an
API key; only its owner may read it.
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
    """A submit that is not known to have ended."""

    key: str
    """Its ``Idempotency-Key``."""
    body: dict[str, Any] = attrs.field(repr=False)
    timeout: float
    """Seconds that the call was given."""
    task_id: str | None = None
    """None where no answer was recorded: the server may have it or not."""


class Journal:
    """The file. Safe to use from several threads, and from several processes: each line is one append."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises ConfigurationError if the file cannot be opened for reading and writing."""
        self._path = Path(path).absolute()
        self._lock = threading.Lock()
        with self._told():
            os.close(self._open())

    @property
    def path(self) -> Path:
        return self._path

    def submitting(self, key: str, body: dict[str, Any], timeout: float) -> None:
        """The request is about to be sent."""
        self._append({"key": key, "body": body, "timeout": timeout})

    def submitted(self, key: str, task_id: str) -> None:
        """The server has the task."""
        self._append({"key": key, "task_id": task_id})

    def done(self, key: str) -> None:
        """The task has ended, or there is none."""
        self._append({"key": key, "done": True})

    def unfinished(self) -> list[Entry]:
        """The submits to look after, in the order that they were made."""
        with self._told():
            return list(_unfinished(self._lines()))

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        with self._lock, self._told():
            file = self._open()
            try:
                # A line that a crash has torn must not swallow this one.
                if _ends_within_a_line(file):
                    line = b"\n" + line
                os.write(file, line)
                os.fsync(file)
            finally:
                os.close(file)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what a file system can say into ConfigurationError."""
        problem = None
        try:
            yield
        except (OSError, ValueError) as error:
            problem = error.strerror if isinstance(error, OSError) else str(error)
        if problem is not None:
            raise ConfigurationError(f"The journal {self._path} cannot be used: {problem}.", param="journal")

    def _lines(self) -> Iterator[dict[str, Any]]:
        for line in self._path.read_bytes().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue  # torn: what it was to tell had not been sent yet
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
            entries.setdefault(
                key,
                Entry(
                    key=key, body=record["body"], timeout=float(record.get("timeout") or CREATE_TASK_REQUEST_TIMEOUT)
                ),
            )
        elif isinstance(record.get("task_id"), str) and key in entries:
            entries[key] = attrs.evolve(entries[key], task_id=record["task_id"])
    return entries.values()
