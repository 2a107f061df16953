"""Journal of submitted tasks: a submit is on disk before it is sent, so that a crash loses no task.

The file has one JSON object per line, and grows by appending: ``{"key", "body", "timeout"}`` before the request,
``{"key", "task_id"}`` after the response, ``{"key", "done": true}`` once the task needs no recovery. The lines of such
tasks are dropped when the file is opened, when no task of this process is in progress, and when it has grown. It
contains prompts but never an API key, and only its owner may read it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
from claude_code_api.defaults import CREATE_TASK_REQUEST_TIMEOUT

from ..errors import ConfigurationError
from .record_file import Record, RecordFile

logger = logging.getLogger("claude_code_client")

_KEY: Final = re.compile(r"[!-~]{1,255}")
_LONGEST: Final = 1e8
"""Seconds that a timeout may have."""
_GROWN: Final = 1 << 18
"""Bytes. A file that is twice as large as after the last compaction, and larger than this, is compacted."""


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
    """Journal file. Threads and processes may share it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raise ConfigurationError if the file cannot be opened for reading and writing."""
        self._path = Path(path).absolute()
        self._file = RecordFile(str(self._path))
        self._in_progress: set[str] = set()
        """Keys of this process's tasks that are not done."""
        with self._journal_errors():
            self._file.compact()

    @property
    def path(self) -> Path:
        """Absolute path of the file."""
        return self._path

    def submitting(self, key: str, body: dict[str, Any], timeout: float) -> None:
        """Record a request that is about to be sent."""
        self._append({"key": key, "body": body, "timeout": timeout})
        self._in_progress.add(key)

    def submitted(self, key: str, task_id: str) -> None:
        """Record the task that the server created."""
        self._append({"key": key, "task_id": task_id})

    def done(self, key: str) -> None:
        """Record that the task has ended or does not exist."""
        self._in_progress.discard(key)
        with self._journal_errors():
            self._file.append({"key": key, "done": True}, self._is_due)

    def unfinished(self) -> list[Entry]:
        """Return the submits to recover, oldest first."""
        with self._journal_errors():
            return self._unfinished()

    def _append(self, record: Record) -> None:
        with self._journal_errors():
            self._file.append(record)

    def _is_due(self, size: int) -> bool:
        """Return whether to compact the file, whose size this is."""
        return not self._in_progress or size >= max(_GROWN, 2 * self._file.compacted_size)

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

    def _unfinished(self) -> list[Entry]:
        entries: dict[str, Entry] = {}
        for number, record in self._file.records():
            key = record["key"]
            if record.get("done"):
                entries.pop(key, None)
            elif "task_id" in record and _is_task_id(record["task_id"]):
                if key in entries:
                    entries[key] = attrs.evolve(entries[key], task_id=record["task_id"])
            elif _is_submit(record):
                timeout = float(record.get("timeout") or CREATE_TASK_REQUEST_TIMEOUT)
                entries.setdefault(key, Entry(key=key, body=record["body"], timeout=timeout))
            else:
                logger.warning("Line %d of the journal %s is damaged; it is skipped.", number, self._path)
        return list(entries.values())


def _is_task_id(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _is_submit(record: Record) -> bool:
    timeout = record.get("timeout") or CREATE_TASK_REQUEST_TIMEOUT
    return (
        _KEY.fullmatch(record["key"]) is not None
        and isinstance(record.get("body"), dict)
        and isinstance(timeout, int | float)
        and 0 < timeout <= _LONGEST
    )
