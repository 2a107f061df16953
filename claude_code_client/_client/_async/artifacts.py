"""Asynchronous methods on artifacts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..._operations.download import MAX_DOWNLOAD_BYTES, download, progress_callback
from ..._wire.requests import check_callback
from ...models import AgenticTaskResponse, Artifact
from ..base import AsyncBase
from ..tracebacks import strip_tracebacks_async


class AsyncArtifacts(AsyncBase):
    @strip_tracebacks_async
    async def download_artifact(
        self,
        task: AgenticTaskResponse | str,
        artifact: Artifact | str,
        to: str | os.PathLike[str],
        *,
        max_bytes: int = MAX_DOWNLOAD_BYTES,
        on_progress: Callable[[int, int], object] | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Download a file that a task made. It is there whole and verified, or not at all.

        It is stored beside its place first, checked against the artifact's ``size_bytes`` and ``sha256``, and then put
        in place of what is there in one step. A download that is cut goes on where it was.

        Args:
            task: The task, or its id.
            artifact: One of its artifacts, or its id.
            to: The file's path; or a folder, one that is there or one named with a separator at its end: the artifact
                is put below it by its own path. Links in what you name are followed, those in an artifact's path not.
            max_bytes: Bytes that it may have; 1 GiB when left out.
            on_progress: Called as bytes are stored, with how many there are so far, fewer again where the download has
                to start over, and how many there will be (0: unknown). What it raises ends the download; it may be a
                coroutine function.
            timeout: Seconds for the whole download; else the client's.

        Returns:
            Where it is now, as an absolute path.

        Raises:
            InvalidRequestError: An argument is not usable; nothing was sent.
            NotFoundError: There is no such task or artifact, or its file is gone.
            UnsafePathError: The artifact's path leads out of the folder; nothing was written.
            ArtifactTooLargeError: It is larger than ``max_bytes``.
            ArtifactMismatchError: The bytes are not those that the task made.
            StorageError: The disk did not take it; ``errno`` says why.
            ClaudeAPIError: Any other way in which the call failed. What was there is as it was, in all of them.
        """
        check_callback("on_progress", on_progress, may_be_async=True)
        operation = download(self._config, task, artifact, to, max_bytes=max_bytes, timeout=timeout)
        return await self._connection.run(operation, progress_callback(on_progress))
