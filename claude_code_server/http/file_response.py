"""Downloads of artifacts, whole or in part, as long as the files are unchanged."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ..domain.entities import PATCH, Task
from ..domain.errors import ApiError, not_found
from ..runtime.work_limit import run_in_own_thread
from .verified_file import open_verified

_CHUNK_BYTES: Final = 256 * 1024
_RANGE: Final = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})", re.ASCII | re.IGNORECASE)


@attrs.frozen
class ByteRange:
    """Bytes ``first`` to ``last``, inclusive, of ``size``."""

    first: int
    last: int
    size: int


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """Parse a ``Range`` header; return None for the whole file, also if the header's form is not supported.

    Raise ApiError 416 if the file has no such range.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or not (match["first"] or match["last"]):
        return None
    if not match["first"]:
        suffix = int(match["last"])
        if suffix and not size:
            return None
        first, last = max(0, size - suffix), size - 1
    else:
        first = int(match["first"])
        last = min(int(match["last"]), size - 1) if match["last"] else size - 1
        if match["last"] and int(match["last"]) < first:
            return None
    if first >= size or first > last:
        headers = {"Content-Range": f"bytes */{size}"}
        raise ApiError(416, "invalid_request_error", f"The file has only {size} bytes.", headers=headers)
    return ByteRange(first, last, size)


async def file_response(
    task: Task, artifact_id: str, range_header: str | None, if_range: str | None, patches: Path
) -> Response:
    """Return the response for a download. Raise ApiError 404 if the artifact is missing or changed, and 416."""
    artifact = next((candidate for candidate in task.artifacts if candidate.id == artifact_id), None)
    if artifact is None:
        raise not_found("artifact")
    root = patches if artifact.file.type == PATCH else Path(task.working_directory)
    file = await run_in_own_thread(lambda: open_verified(root, artifact.file), "download")
    if file is None:
        raise ApiError(404, "not_found_error", "The artifact's file is gone, or was changed after the task ended.")
    try:
        etag = f'"{artifact.file.sha256}"'
        size = os.fstat(file.fileno()).st_size
        part = parse_range(range_header, size) if if_range in (None, etag) else None
    except BaseException:
        file.close()
        raise
    headers = {"ETag": etag, "Accept-Ranges": "bytes"}
    sent = part or ByteRange(0, size - 1, size)
    headers["Content-Length"] = str(sent.last - sent.first + 1)
    if part is not None:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{part.size}"
    return _FileResponse(file, sent, 200 if part is None else 206, headers)


class _FileResponse(StreamingResponse):
    """Response that closes its file however it ends, also if it never starts."""

    def __init__(self, file: BinaryIO, part: ByteRange, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(_chunks(file, part), status, headers, media_type="application/octet-stream")
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


async def _chunks(file: BinaryIO, part: ByteRange) -> AsyncIterator[bytes]:
    file.seek(part.first)
    left = part.last - part.first + 1
    while left > 0:
        chunk = await run_in_threadpool(file.read, min(_CHUNK_BYTES, left))
        if not chunk:
            # The error closes the connection; a body that merely ended early would leave the client waiting.
            raise EOFError("the file was truncated")
        left -= len(chunk)
        yield chunk
