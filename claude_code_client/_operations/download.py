"""Downloads of artifacts, to a file or into memory. No I/O."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from .._config import Config, check_timeout, shown
from .._files.atomic_file import AtomicFile, check_destination
from .._wire.requests import check_id
from ..errors import InvalidRequestError, NotFoundError, NotSupportedError
from ..models import AgenticTaskResponse, Artifact
from . import task_endpoints
from .effects import Operation, RunBlocking
from .task_errors import about_task
from .transfer import ArtifactSpec, Sink, Transfer

T = TypeVar("T")

_ID_HINT: Final = "one that the server returned, or its ID, a str"


def download(
    config: Config,
    task: AgenticTaskResponse | str,
    artifact: Artifact | str,
    to: str | os.PathLike[str],
    *,
    max_bytes: int,
    timeout: float | None = None,
) -> Operation[Path]:
    """Store an artifact in a file; emit the bytes stored so far with the total. Raises InvalidRequestError at once."""
    request = _DownloadRequest(config, task, artifact, max_bytes, timeout)
    return about_task(request.to_file(check_destination(to)), request.task_id)


def read_artifact(config: Config, task_id: str, artifact: Artifact, *, max_bytes: int) -> Operation[bytes]:
    """Read an artifact into memory. Raises InvalidRequestError at once."""
    request = _DownloadRequest(config, task_id, artifact, max_bytes, None)
    return about_task(request.to_memory(), request.task_id)


def progress_callback(on_progress: Callable[[int, int], object] | None) -> Callable[[tuple[int, int]], object] | None:
    """Return a function that takes what ``download`` emits and calls ``on_progress`` with it."""
    return None if on_progress is None else lambda progress: on_progress(*progress)


class _DownloadRequest:
    """Checked arguments of one download."""

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
        self.task_id = check_id("task", task.id if isinstance(task, AgenticTaskResponse) else task, _ID_HINT)
        if isinstance(artifact, Artifact) and not artifact.id:
            raise NotSupportedError(
                "The server has listed the artifact without an ID, so it cannot be downloaded; nothing was sent. "
                "Its path is that of the file on the server's machine, relative to the task's working directory."
            )
        self._artifact_id = check_id("artifact", artifact.id if isinstance(artifact, Artifact) else artifact, _ID_HINT)
        if type(max_bytes) is not int or max_bytes < 1:
            raise InvalidRequestError(
                f"max_bytes must be an int of 1 or more, not {shown(max_bytes)}.", param="max_bytes"
            )
        self._max_bytes = max_bytes
        self._timeout = config.timeout if timeout is None else check_timeout(timeout)

    def to_file(self, destination: str) -> Operation[Path]:
        deadline = time.monotonic() + self._timeout
        artifact = yield from self._described_artifact(deadline)
        file: AtomicFile = yield RunBlocking(partial(AtomicFile.locate, destination, artifact.path))
        return (yield from self._transfer(artifact, file, deadline))

    def to_memory(self) -> Operation[bytes]:
        deadline = time.monotonic() + self._timeout
        artifact = yield from self._described_artifact(deadline)
        return (yield from self._transfer(artifact, MemoryBuffer(), deadline))

    def _transfer(self, artifact: Artifact, sink: Sink[T], deadline: float) -> Operation[T]:
        spec = ArtifactSpec(
            task_id=self.task_id,
            artifact_id=self._artifact_id,
            size=artifact.size_bytes if _is_described(artifact) else None,
            sha256=artifact.sha256 or None,
            max_bytes=self._max_bytes,
        )
        return Transfer(spec, sink, deadline=deadline, read_timeout=self._config.stream_read_timeout).run()

    def _described_artifact(self, deadline: float) -> Operation[Artifact]:
        """Return the artifact with its path, size and digest; get the task if the caller has not passed them."""
        known: Artifact | None = None
        if isinstance(self._artifact, Artifact):
            known = self._artifact
        elif isinstance(self._task, AgenticTaskResponse):
            known = self._find_in(self._task)
        if known is not None and _is_described(known):
            return known
        task = yield from task_endpoints.get(self.task_id, deadline)
        found = self._find_in(task)
        if found is None:
            raise NotFoundError(f"Task {self.task_id} has no artifact {self._artifact_id!r}. Check the artifact's ID.")
        return found

    def _find_in(self, task: AgenticTaskResponse) -> Artifact | None:
        return next((artifact for artifact in task.artifacts if artifact.id == self._artifact_id), None)


class MemoryBuffer:
    """Sink that keeps the bytes in memory."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()

    def begin(self) -> None:
        """Do nothing."""

    def write(self, data: bytes) -> None:
        self._buffer.write(data)

    def restart(self) -> None:
        self._buffer = io.BytesIO()

    def commit(self) -> bytes:
        return self._buffer.getvalue()

    def discard(self) -> None:
        """Do nothing."""


def _is_described(artifact: Artifact) -> bool:
    """Return whether the size is known; a size of 0 without a digest is how older servers omit it."""
    return bool(artifact.sha256 or artifact.size_bytes)
