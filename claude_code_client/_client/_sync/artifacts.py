# Generated from ../_async/artifacts.py by `make generate`; not to be edited.

"""Client methods that download artifacts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..._wire.requests import check_callback
from ...models import MAX_DOWNLOAD_BYTES, AgenticTaskResponse, Artifact
from ..tracebacks import strip_tracebacks
from .base import Base


class Artifacts(Base):
    """Downloads of the files that tasks made."""

    @strip_tracebacks
    def download_artifact(
        self,
        task: AgenticTaskResponse | str,
        artifact: Artifact | str,
        to: str | os.PathLike[str],
        *,
        max_bytes: int = MAX_DOWNLOAD_BYTES,
        on_progress: Callable[[int, int], object] | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Download a file that a task made: whole and verified, or not at all.

        The download is written to a temporary file, checked against the artifact's ``size_bytes`` and ``sha256``, and
        then moved into place in one step. An interrupted download resumes. If the call fails, a file that was there
        before is unchanged.

        Args:
            task: The task, or its ID.
            artifact: One of the task's artifacts, or its ID.
            to: Path of the file, or a directory: an existing one, or a path that ends with a separator. In a
                directory the file is stored under the artifact's own path. Symbolic links in ``to`` are followed,
                links in the artifact's path are not.
            max_bytes: Largest size to accept, in bytes. Default: 1 GiB.
            on_progress: Called as bytes are stored, with the number stored so far (smaller again when the download
                has to start over) and the total (0 if unknown). An exception that it raises ends the download.
            timeout: Seconds for the whole download. Default: the client's timeout.

        Returns:
            The absolute path of the file.

        Raises:
            InvalidRequestError: An argument is invalid; nothing was sent.
            NotFoundError: No such task or artifact, or its file is gone.
            UnsafePathError: The artifact's path leads out of the directory; nothing was written.
            ArtifactTooLargeError: The file is larger than ``max_bytes``.
            ArtifactMismatchError: The bytes differ from what the task made.
            StorageError: The file could not be stored; ``errno`` says why.
            ClaudeAPIError: The call failed in another way.
        """
        from ..._operations.download import download, progress_callback

        check_callback("on_progress", on_progress)
        operation = download(self._config, task, artifact, to, max_bytes=max_bytes, timeout=timeout)
        return self._connection.run(operation, progress_callback(on_progress))
