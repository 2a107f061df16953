"""Raw HTTP server with one task and one artifact, whose downloads follow a script: one step per request."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from claude_code_client.models import Artifact
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses

DATA = random.Random(5).randbytes(5000)
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'
OTHER = f'"{"0" * 64}"'


@dataclass
class DownloadScript:
    """Handler of the API with the artifact, which records the requested ranges."""

    data: bytes
    downloads: list[DownloadResponse]
    """Response to each download; the last one is repeated."""
    record: dict[str, Any]
    """Artifact as the task lists it."""
    ranges: list[str | None] = field(default_factory=list)
    """Range header of each download."""
    conditions: list[str | None] = field(default_factory=list)
    """If-Range header of each download."""
    base_url: str = ""

    @property
    def artifact(self) -> Artifact:
        """The artifact as a user constructs it by hand."""
        return Artifact(**self.record)

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.data).hexdigest()}"'

    def __call__(self, request: raw_http.Request) -> Iterable[bytes] | None:
        if request.path == "/v1/task/task_1/artifacts/art_1":
            number = len(self.ranges)
            self.ranges.append(request.headers.get("range"))
            self.conditions.append(request.headers.get("if-range"))
            return self.downloads[min(number, len(self.downloads) - 1)](self, request)
        if request.path == "/v1/task/task_1":
            return raw_http.response(200, responses.task(artifacts=[self.record]))
        return raw_http.response(404, responses.error("not_found_error"))


DownloadResponse = Callable[[DownloadScript, raw_http.Request], "Iterable[bytes] | None"]


def requested_part(script: DownloadScript, request: raw_http.Request) -> list[bytes]:
    """Send the requested part, as RFC 9110 specifies."""
    part = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if part is None or request.headers.get("if-range", script.etag) != script.etag:
        return whole_file(script, request)
    start, size = int(part[1]), len(script.data)
    if start >= size:
        return raw_http.response(416, responses.error("invalid_request_error"), Content_Range=f"bytes */{size}")
    return partial_response(script, start)


def partial_response(
    script: DownloadScript, start: int, *, content_range: str | None = None, **headers: str
) -> list[bytes]:
    """Send a part; ``content_range`` overrides the range that its header names."""
    size = len(script.data)
    content_range = f"bytes {start}-{size - 1}/{size}" if content_range is None else content_range
    headers = {"Content_Range": content_range, "ETag": script.etag, **headers}
    return raw_http.response(206, script.data[start:], **headers)


def whole_file(script: DownloadScript, _: raw_http.Request) -> list[bytes]:
    """Send the whole file and ignore a requested range."""
    return raw_http.response(200, script.data, ETag=script.etag)


def cut_after(after: int, download: DownloadResponse = requested_part) -> DownloadResponse:
    """Send the first bytes of a response's body, then close the connection."""

    def first_bytes(script: DownloadScript, request: raw_http.Request) -> Iterator[bytes]:
        head, _, body = b"".join(download(script, request) or ()).partition(b"\r\n\r\n")
        return raw_http.then_hang_up([head + b"\r\n\r\n", body[:after]])

    return first_bytes


def respond_with(status: int, body: Any = b"", **headers: str) -> DownloadResponse:
    return lambda script, request: raw_http.response(status, body, **headers)


def respond_with_error(status: int, type: str = "server_error", **headers: str) -> DownloadResponse:
    return respond_with(status, responses.error(type), **headers)


def chunked_body(*chunks: bytes, **headers: str) -> DownloadResponse:
    """Send a body without a length."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{lines}\r\n".encode()
    return lambda script, request: [head + body + b"0\r\n\r\n"]


@contextmanager
def scripted_downloads(data: bytes, *downloads: DownloadResponse, **record: Any) -> Iterator[DownloadScript]:
    """Run a server with this artifact; ``record`` overrides fields of the artifact's record."""
    full_record = {
        "id": "art_1",
        "type": "file",
        "path": "docs/report.bin",
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "created_at": "2026-11-22T12:00:00.000Z",
        **record,
    }
    script = DownloadScript(data, list(downloads) or [requested_part], full_record)
    with raw_http.serve(raw_http.SocketServer(script)) as server:
        script.base_url = server.base_url
        yield script


def until_closed(size: int = len(DATA)) -> DownloadResponse:
    """Send the first bytes of a body that ends with its connection."""

    def respond(script: DownloadScript, _: raw_http.Request) -> Iterator[bytes]:
        head = f"HTTP/1.1 200 OK\r\nETag: {script.etag}\r\nConnection: close\r\n\r\n".encode()
        return raw_http.then_hang_up([head, script.data[:size]])

    return respond


def giving(start: int, said: str | None = None, **headers: str) -> DownloadResponse:
    return lambda script, request: partial_response(script, start, content_range=said, **headers)


def drop(_: DownloadScript, __: raw_http.Request) -> None:
    return None


def download(both: ClientKind, script: DownloadScript, to: Any, **options: Any) -> Any:
    client = both.client(options.pop("base_url", script.base_url), max_retries=0)
    return both.call(client.download_artifact("task_1", options.pop("artifact", script.artifact), to, **options))
