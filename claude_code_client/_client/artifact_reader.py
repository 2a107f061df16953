"""Artifacts that know where their bytes are."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from .._operations.download import read_artifact
from ..errors import ClaudeAPIError, ConfigurationError
from ..models import AgenticTaskResponse, Artifact

if TYPE_CHECKING:
    from .._transport import AsyncConnection, SyncConnection

T = TypeVar("T")


def attach_reader(value: T, connection: SyncConnection | AsyncConnection) -> T:
    """The value; the artifacts of a task, or of an exception's task, can be read over this connection from now on."""
    task = value.task if isinstance(value, ClaudeAPIError) else value
    if isinstance(task, AgenticTaskResponse):
        source = ArtifactSource(connection, task.id)
        for artifact in task.artifacts:
            # Not one of the fields that make it what it is, and that nobody may change.
            object.__setattr__(artifact, "_source", source)
    return value


class ArtifactSource:
    """A task's artifacts, over the connection that the task came over."""

    def __init__(self, connection: SyncConnection | AsyncConnection, task_id: str) -> None:
        self._connection = connection
        self._task_id = task_id

    def read(self, artifact: Artifact, max_bytes: int) -> bytes:
        from .._transport import SyncConnection

        connection = self._connection
        operation = read_artifact(connection.config, self._task_id, artifact, max_bytes=max_bytes)
        if isinstance(connection, SyncConnection):
            return connection.run(operation)
        if _in_event_loop():
            raise ConfigurationError("read_bytes() would hold up the event loop: use await artifact.aread_bytes().")
        with closing(SyncConnection(connection.config, connection.state)) as other:
            return other.run(operation)

    async def aread(self, artifact: Artifact, max_bytes: int) -> bytes:
        from .._transport import SyncConnection

        connection = self._connection
        if isinstance(connection, SyncConnection):
            raise ConfigurationError(
                "This artifact came from a ClaudeClient: use artifact.read_bytes(), "
                "or in an event loop await asyncio.to_thread(artifact.read_bytes)."
            )
        return await connection.run(read_artifact(connection.config, self._task_id, artifact, max_bytes=max_bytes))


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
