"""The files that tasks made, as downloads: whole or in part, and only as long as they are what they were."""

import hashlib
import os
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from .errors import ApiError, not_found
from .records import Artifact, Task

_CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``first`` to ``last``, both included, of ``size``."""

    first: int
    last: int
    size: int


def part_of(header: str | None, size: int) -> Part | None:
    """What a ``Range`` header asks for; None for the whole file, also when it is not in a form that is supported.

    Raises ApiError 416 when there is no such part.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or not (match["first"] or match["last"]):
        return None
    if not match["first"]:
        wanted = int(match["last"])
        if wanted and not size:
            return None
        first, last = max(0, size - wanted), size - 1
    else:
        first = int(match["first"])
        last = min(int(match["last"]), size - 1) if match["last"] else size - 1
        if match["last"] and int(match["last"]) < first:
            return None
    if first >= size or first > last:
        headers = {"Content-Range": f"bytes */{size}"}
        raise ApiError(416, "invalid_request_error", f"The file has only {size} bytes.", headers=headers)
    return Part(first, last, size)


async def download(task: Task, artifact_id: str, range_header: str | None, if_range: str | None) -> Response:
    """Raises ApiError 404 when there is no such artifact any more, and 416."""
    artifact = next((one for one in task.artifacts if one.id == artifact_id), None)
    if artifact is None:
        raise not_found("such artifact")
    file = await run_in_threadpool(_open, task, artifact)
    try:
        etag = f'"{artifact.found.sha256}"'
        size = os.fstat(file.fileno()).st_size
        part = part_of(range_header, size) if if_range in (None, etag) else None
    except BaseException:
        file.close()
        raise
    headers = {"ETag": etag, "Accept-Ranges": "bytes"}
    whole = Part(0, size - 1, size)
    sent = part or whole
    headers["Content-Length"] = str(sent.last - sent.first + 1)
    if part is not None:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{part.size}"
    return _Sent(file, sent, 200 if part is None else 206, headers)


class _Sent(StreamingResponse):
    """Closes its file however it ends, also when nobody waits for its start."""

    def __init__(self, file: BinaryIO, part: Part, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(_chunks(file, part), status, headers, media_type="application/octet-stream")
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


def _open(task: Task, artifact: Artifact) -> BinaryIO:
    root = Path(task.working_directory)
    path = root / artifact.found.path
    gone = ApiError(404, "not_found_error", "The artifact's file is gone, or was changed after the task ended.")
    try:
        if not path.resolve(strict=True).is_relative_to(root.resolve()):
            raise gone
        file = open(path, "rb", opener=_no_link)  # noqa: SIM115
    except (OSError, ValueError):
        raise gone from None
    try:
        if hashlib.file_digest(file, "sha256").hexdigest() != artifact.found.sha256:
            raise gone
        file.seek(0)
    except OSError:
        file.close()
        raise gone from None
    except ApiError:
        file.close()
        raise
    return file


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


async def _chunks(file: BinaryIO, part: Part) -> AsyncIterator[bytes]:
    file.seek(part.first)
    left = part.last - part.first + 1
    while left > 0:
        chunk = await run_in_threadpool(file.read, min(_CHUNK, left))
        if not chunk:
            # The connection is closed then; a body that just ends too early would leave the client waiting.
            raise EOFError("the file was cut short")
        left -= len(chunk)
        yield chunk
