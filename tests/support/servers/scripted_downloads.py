"""A task with one artifact, on a server whose answers to each download a test scripts, one after another."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claude_code_client.models import Artifact
from support.servers import raw_http, responses

OLD = b"what was there before"


@dataclass
class DownloadScript:
    """The API with the artifact; as a handler of a raw server it notes what it was asked for."""

    data: bytes
    answers: list[DownloadResponse]
    """To each download; the last one is repeated."""
    record: dict[str, Any]
    """The artifact as the task tells of it."""
    ranges: list[str | None] = field(default_factory=list)
    """The Range of each download."""
    conditions: list[str | None] = field(default_factory=list)
    """The If-Range of each download."""
    base_url: str = ""

    @property
    def artifact(self) -> Artifact:
        """As a user has it who made it by hand."""
        return Artifact(**self.record)

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.data).hexdigest()}"'

    def __call__(self, request: raw_http.Request) -> Iterable[bytes] | None:
        if request.path == "/v1/task/task_1/artifacts/art_1":
            number = len(self.ranges)
            self.ranges.append(request.headers.get("range"))
            self.conditions.append(request.headers.get("if-range"))
            return self.answers[min(number, len(self.answers) - 1)](self, request)
        if request.path == "/v1/task/task_1":
            return raw_http.response(200, responses.task(artifacts=[self.record]))
        return raw_http.response(404, responses.error("not_found_error"))


DownloadResponse = Callable[[DownloadScript, raw_http.Request], "Iterable[bytes] | None"]


def requested_part(shelf: DownloadScript, request: raw_http.Request) -> list[bytes]:
    """What was asked for, as RFC 9110 has it."""
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if asked is None or request.headers.get("if-range", shelf.etag) != shelf.etag:
        return whole_file(shelf, request)
    start, size = int(asked[1]), len(shelf.data)
    if start >= size:
        return raw_http.response(416, responses.error("invalid_request_error"), Content_Range=f"bytes */{size}")
    return partial_response(shelf, start)


def partial_response(shelf: DownloadScript, start: int, *, said: str | None = None, **headers: str) -> list[bytes]:
    """A part, which may be said to be another."""
    size = len(shelf.data)
    said = f"bytes {start}-{size - 1}/{size}" if said is None else said
    told = {"Content_Range": said, "ETag": shelf.etag, **headers}
    return raw_http.response(206, shelf.data[start:], **told)


def whole_file(shelf: DownloadScript, _: raw_http.Request) -> list[bytes]:
    """All of it, whatever was asked for."""
    return raw_http.response(200, shelf.data, ETag=shelf.etag)


def cut_after(after: int, answer: DownloadResponse = requested_part) -> DownloadResponse:
    """So many bytes of an answer's body, then the connection ends."""

    def first_bytes(shelf: DownloadScript, request: raw_http.Request) -> Iterator[bytes]:
        head, _, body = b"".join(answer(shelf, request) or ()).partition(b"\r\n\r\n")
        return raw_http.then_hang_up([head + b"\r\n\r\n", body[:after]])

    return first_bytes


def respond_with(status: int, body: Any = b"", **headers: str) -> DownloadResponse:
    return lambda shelf, request: raw_http.response(status, body, **headers)


def respond_with_error(status: int, type: str = "server_error", **headers: str) -> DownloadResponse:
    return respond_with(status, responses.error(type), **headers)


def chunked_body(*chunks: bytes, **headers: str) -> DownloadResponse:
    """A body without a length."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{lines}\r\n".encode()
    return lambda shelf, request: [head + body + b"0\r\n\r\n"]


@contextmanager
def scripted_downloads(data: bytes, *answers: DownloadResponse, **record: Any) -> Iterator[DownloadScript]:
    """A server with these bytes; ``record`` is what the task says otherwise of them."""
    told = {
        "id": "art_1",
        "type": "file",
        "path": "docs/report.bin",
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "created_at": "2026-11-22T12:00:00.000Z",
        **record,
    }
    shelf = DownloadScript(data, list(answers) or [requested_part], told)
    with raw_http.serve(raw_http.SocketServer(shelf)) as server:
        shelf.base_url = server.base_url
        yield shelf


def old_file(folder: Path, name: str = "report.bin") -> Path:
    """A file that a download is to replace."""
    path = folder / name
    path.write_bytes(OLD)
    path.chmod(0o640)
    return path


def file_names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def assert_untouched(folder: Path) -> Iterator[None]:
    """Fails if anything below the folder is another than before, or another file, or changed its mode or its time."""
    before = _picture(folder)
    yield
    assert _picture(folder) == before


def _picture(folder: Path) -> dict[str, object]:
    return {str(path.relative_to(folder)): _facts(path) for path in sorted(folder.rglob("*"))}


def _facts(path: Path) -> object:
    found = path.lstat()
    if path.is_symlink():
        return path.readlink()
    if stat.S_ISREG(found.st_mode):
        return found.st_ino, found.st_mode, found.st_mtime_ns, path.read_bytes()
    return found.st_ino, found.st_mode
