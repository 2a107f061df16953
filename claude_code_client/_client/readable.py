"""What artifacts can do: read their bytes from where they came from."""

from __future__ import annotations

from typing import Any, Final, Protocol

from ..errors import ConfigurationError
from .tracebacks import strip_tracebacks, strip_tracebacks_async

MAX_READ_BYTES: Final = 256 * 1024**2
"""Bytes that are taken into memory unless told otherwise: 256 MiB."""


class Source(Protocol):
    """Where the bytes of artifacts come from."""

    def read(self, artifact: Any, max_bytes: int) -> bytes: ...

    async def aread(self, artifact: Any, max_bytes: int) -> bytes: ...


class Readable:
    """An artifact that may know its source; the class that has the slot for it inherits from this one."""

    __slots__ = ()

    _source: Source

    @strip_tracebacks
    def read_bytes(self, *, max_bytes: int = MAX_READ_BYTES) -> bytes:
        """Download it into memory; the client's ``download_artifact()`` stores it in a file.

        What comes is checked against ``size_bytes`` and ``sha256``. It may take as long as the client's timeout.

        Args:
            max_bytes: Bytes that it may have; 256 MiB when left out.

        Raises:
            ConfigurationError: It does not know its client: it was unpickled, copied or made by hand. Or that is an
                AsyncClaudeClient, and an event loop runs here.
            ArtifactTooLargeError: It is larger than ``max_bytes``.
            ArtifactMismatchError: The bytes are not those that the task made.
            ClaudeAPIError: Any other way in which the call failed.
        """
        return self._known_source().read(self, max_bytes)

    @strip_tracebacks_async
    async def aread_bytes(self, *, max_bytes: int = MAX_READ_BYTES) -> bytes:
        """:meth:`read_bytes` for artifacts of an AsyncClaudeClient."""
        return await self._known_source().aread(self, max_bytes)

    def _known_source(self) -> Source:
        source: Source | None = getattr(self, "_source", None)
        if source is None:
            raise ConfigurationError(
                "This artifact does not know its client: it was unpickled, copied or made by hand. "
                "Use client.download_artifact(task, artifact, to=…)."
            )
        return source
