"""The calls that download an artifact: what they are given, what is known of it, where its bytes go. No I/O."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from claude_code_api import models as generated
from claude_code_api.api.tasks import get_task

from .._config import Config, check_timeout
from .._files.atomic_file import AtomicFile, check_destination
from .._wire import legacy as _older
from .._wire import responses as convert
from .._wire.requests import check_id
from ..errors import ClaudeAPIError, InvalidRequestError, NotFoundError
from ..models import AgenticTaskResponse, Artifact
from .effects import Operation, RunBlocking, Send
from .transfer import ArtifactSpec, Sink, Transfer

T = TypeVar("T")

MAX_DOWNLOAD_BYTES: Final = 1024**3
"""Bytes that a download may have unless told otherwise: 1 GiB."""
_MEANT: Final = "one that the server gave, or its id, a str"


def download(
    config: Config,
    task: AgenticTaskResponse | str,
    artifact: Artifact | str,
    to: str | os.PathLike[str],
    *,
    max_bytes: int,
    timeout: float | None = None,
) -> Operation[Path]:
    """Emits how many bytes are stored, and how many there are. Raises InvalidRequestError, naming the argument."""
    return _Call(config, task, artifact, max_bytes, timeout).to_file(check_destination(to))


def read(config: Config, task_id: str, artifact: Artifact, *, max_bytes: int) -> Operation[bytes]:
    """The bytes in memory. Raises InvalidRequestError, naming the argument."""
    return _Call(config, task_id, artifact, max_bytes, None).to_memory()


def told_of(on_progress: Callable[[int, int], object] | None) -> Callable[[tuple[int, int]], object] | None:
    """What is to be called with each value that ``download`` emits."""
    return None if on_progress is None else lambda progress: on_progress(*progress)


class _Call:
    """One call's arguments, checked."""

    def __init__(
        self,
        config: Config,
        task: AgenticTaskResponse | str,
        artifact: Artifact | str,
        max_bytes: int,
        timeout: float | None,
    ) -> None:
        self._config = config
        self._task = task
        self._artifact = artifact
        self._task_id = check_id("task", task.id if isinstance(task, AgenticTaskResponse) else task, _MEANT)
        self._artifact_id = check_id("artifact", artifact.id if isinstance(artifact, Artifact) else artifact, _MEANT)
        if type(max_bytes) is not int or max_bytes < 1:
            raise InvalidRequestError(f"max_bytes must be an int of 1 or more, not {max_bytes!r}.", param="max_bytes")
        self._max_bytes = max_bytes
        self._seconds = config.timeout if timeout is None else check_timeout(timeout)

    def to_file(self, to: str) -> Operation[Path]:
        return self._about(self._to_file(to))

    def to_memory(self) -> Operation[bytes]:
        return self._about(self._to_memory())

    def _to_file(self, to: str) -> Operation[Path]:
        deadline = time.monotonic() + self._seconds
        record = yield from self._record(deadline)
        target: AtomicFile = yield RunBlocking(partial(AtomicFile.locate, to, record.path))
        return (yield from self._transfer(record, target, deadline))

    def _to_memory(self) -> Operation[bytes]:
        deadline = time.monotonic() + self._seconds
        record = yield from self._record(deadline)
        return (yield from self._transfer(record, Memory(), deadline))

    def _transfer(self, record: Artifact, sink: Sink[T], deadline: float) -> Operation[T]:
        wanted = ArtifactSpec(
            task_id=self._task_id,
            artifact_id=self._artifact_id,
            size=record.size_bytes if _is_complete(record) else None,
            sha256=record.sha256 or None,
            max_bytes=self._max_bytes,
        )
        return Transfer(wanted, sink, deadline=deadline, read_timeout=self._config.stream_read_timeout).run()

    def _record(self, deadline: float) -> Operation[Artifact]:
        """What the task says of the artifact; the server is asked where that is not known."""
        known: Artifact | None = None
        if isinstance(self._artifact, Artifact):
            known = self._artifact
        elif isinstance(self._task, AgenticTaskResponse):
            known = self._in(self._task)
        if known is not None and _is_complete(known):
            return known
        response = yield Send(request=get_task._get_kwargs(self._task_id), deadline=deadline)
        task = convert.parse(get_task, response, generated.AgenticTaskResponse, convert.task, adapt=_older.task)
        found = self._in(task)
        if found is None:
            raise NotFoundError(f"The task {self._task_id} has no artifact {self._artifact_id!r}. Check the id.")
        return found

    def _in(self, task: AgenticTaskResponse) -> Artifact | None:
        return next((artifact for artifact in task.artifacts if artifact.id == self._artifact_id), None)

    def _about(self, operation: Operation[T]) -> Operation[T]:
        """The operation, with exceptions that name the task."""
        try:
            return (yield from operation)
        except ClaudeAPIError as error:
            error.task_id = self._task_id
            raise


class Memory:
    """Bytes that stay in memory."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()

    def begin(self) -> None:
        """Nothing to be done."""

    def write(self, data: bytes) -> None:
        self._buffer.write(data)

    def restart(self) -> None:
        self._buffer = io.BytesIO()

    def commit(self) -> bytes:
        return self._buffer.getvalue()

    def discard(self) -> None:
        """Nothing to be done."""


def _is_complete(artifact: Artifact) -> bool:
    """Whether it says how many bytes it has; an older server's 0 says nothing."""
    return bool(artifact.sha256 or artifact.size_bytes)
