"""Readers that download artifacts over the connection that their task came from."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from ..errors import ClaudeAPIError, ConfigurationError
from ..models import AgenticTaskResponse, Artifact
from .tracebacks import strip_tracebacks, strip_tracebacks_async

if TYPE_CHECKING:
    from .._transport.async_connection import AsyncConnection
    from .._transport.sync_connection import SyncConnection

T = TypeVar("T")


def attach_reader(value: T, connection: SyncConnection | AsyncConnection) -> T:
    """Return ``value``, with a reader attached to each artifact of the task that it is or, as an exception, carries."""
    task = value.task if isinstance(value, ClaudeAPIError) else value
    if isinstance(task, AgenticTaskResponse):
        reader = ConnectionReader(connection, task.id)
        for artifact in task.artifacts:
            # Artifacts are frozen; the reader is not one of their fields.
            object.__setattr__(artifact, "_reader", reader)
    return value


class ConnectionReader:
    """Reader of one task's artifacts over a connection; an ``ArtifactReader``.

    Its methods strip tracebacks, so that an exception shows the public method and nothing of the connection.
    """

    def __init__(self, connection: SyncConnection | AsyncConnection, task_id: str) -> None:
        self._connection = connection
        self._task_id = task_id

    @strip_tracebacks
    def read_bytes(self, artifact: Artifact, max_bytes: int) -> bytes:
        """Return the verified bytes of ``artifact``; over a connection of its own if the task's is asynchronous."""
        from .._operations.download import read_artifact
        from .._transport.sync_connection import SyncConnection

        connection = self._connection
        operation = read_artifact(connection.config, self._task_id, artifact, max_bytes=max_bytes)
        if isinstance(connection, SyncConnection):
            return connection.run(operation)
        if _in_event_loop():
            raise ConfigurationError("read_bytes() would block the event loop: use await artifact.aread_bytes().")
        with closing(SyncConnection(connection.config, connection.state)) as other:
            return other.run(operation)

    @strip_tracebacks_async
    async def aread_bytes(self, artifact: Artifact, max_bytes: int) -> bytes:
        """Return the verified bytes of ``artifact``."""
        from .._operations.download import read_artifact
        from .._transport.sync_connection import SyncConnection

        connection = self._connection
        if isinstance(connection, SyncConnection):
            raise ConfigurationError(
                "This artifact came from a ClaudeClient: use artifact.read_bytes(), "
                "or in an event loop await asyncio.to_thread(artifact.read_bytes)."
            )
        return await connection.run(read_artifact(connection.config, self._task_id, artifact, max_bytes=max_bytes))


def _in_event_loop() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
