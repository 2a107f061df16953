"""Transfer of one artifact's bytes, over as many connections as it takes, with size and digest checked. No I/O."""

from __future__ import annotations

import hashlib
import time
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

import attrs
from claude_code_api.api.tasks import download_artifact
from claude_code_api.types import UNSET

from .._policy.reconnect import ReconnectBudget, is_transient
from .._wire import content_range
from ..errors import (
    APIConnectionError,
    ArtifactMismatchError,
    ArtifactTooLargeError,
    ClaudeAPIError,
    UnexpectedResponseError,
)
from .backoff import wait_to_reconnect
from .effects import Aborted, Emit, Head, Open, Operation, Read, Request, RunBlocking

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

BLOCK_SIZE: Final = 1024 * 1024
"""Bytes that are stored at once: for an asynchronous client, each write costs a switch of threads."""
_STORE_INTERVAL: Final = 0.5
"""Seconds after which fewer bytes are stored as well, so that a slow transfer shows progress."""
_OK: Final = 200
_PARTIAL_CONTENT: Final = 206
_RANGE_NOT_SATISFIABLE: Final = 416


@attrs.frozen(kw_only=True)
class ArtifactSpec:
    """Artifact to transfer, and what is known of it beforehand."""

    task_id: str
    artifact_id: str
    size: int | None
    """Bytes."""
    sha256: str | None
    max_bytes: int


class Sink(Protocol[T_co]):
    """Destination of the bytes."""

    def begin(self) -> None:
        """Prepare for the first byte."""

    def write(self, data: bytes, /) -> None: ...

    def restart(self) -> None:
        """Drop what was written."""

    def commit(self) -> T_co:
        """Publish the bytes, which are complete and verified."""
        ...

    def discard(self) -> None:
        """Remove what was not committed. Called at the end of every transfer, also of a successful one."""


class Transfer(Generic[T]):
    """One transfer. Emits the bytes stored so far with the total (0 if unknown); returns what the sink commits."""

    def __init__(self, spec: ArtifactSpec, sink: Sink[T], *, deadline: float, read_timeout: float) -> None:
        self._spec = spec
        self._sink = sink
        self._deadline = deadline
        self._read_timeout = read_timeout
        self._reconnects = ReconnectBudget()
        self._total = spec.size
        self._received = 0
        self._furthest = 0
        self._pending = bytearray()
        self._stored_at = time.monotonic()
        self._digest = hashlib.sha256()
        self._etag: str | None = None
        self._opened = False
        self._whole_only = False
        """True if no range request can continue the current response."""
        self._supports_ranges = True
        """False once the server has sent another range than the one requested."""

    def run(self) -> Operation[T]:
        """Transfer the artifact.

        Raises:
            ArtifactError: The bytes are not those of the artifact, are too many, or cannot be stored.
            APIConnectionError: Reconnecting brought no further bytes.
            TimeoutError: The deadline has passed.
            ClaudeAPIError: The server refused.
        """
        try:
            yield from self._receive()
            result: T = yield RunBlocking(self._finish)
        except Aborted:
            # A thread may still be writing: waiting for its lock here would block the event loop.
            yield RunBlocking(self._sink.discard)
            raise
        else:
            return result
        finally:
            self._sink.discard()

    def _receive(self) -> Operation[None]:
        self._set_total(self._spec.size)
        while (error := (yield from self._connection())) is not None:
            self._reconnects.note(error.attempts, error.history)
            if not (yield from wait_to_reconnect(self._reconnects, self._deadline, retry_after=error.retry_after)):
                raise self._failure(error)
        yield from self._store_pending()

    def _connection(self) -> Operation[ClaudeAPIError | None]:
        """Use one connection to its end; return why another one is needed, or None."""
        try:
            head = yield Open(
                request=self._request(),
                deadline=self._deadline,
                read_timeout=self._read_timeout,
                accept="application/octet-stream",
            )
        except ClaudeAPIError as error:
            not_satisfiable = error.status_code == _RANGE_NOT_SATISFIABLE
            if not self._opened or not (not_satisfiable or is_transient(error, opened=True)):
                raise
            problem = error
        else:
            return (yield from self._read_response(head))
        if problem.status_code == _RANGE_NOT_SATISFIABLE:
            yield from self._start_over()
        return problem

    def _request(self) -> Request:
        wants_range = self._received > 0 and self._supports_ranges and not self._whole_only
        if_range = self._etag if wants_range and content_range.is_strong(self._etag) else None
        return download_artifact._get_kwargs(
            self._spec.task_id,
            self._spec.artifact_id,
            range_=f"bytes={self._received}-" if wants_range else UNSET,
            if_range=if_range or UNSET,
        )

    def _read_response(self, head: Head) -> Operation[ClaudeAPIError | None]:
        mismatch = yield from self._begin(head)
        if mismatch is not None:
            return mismatch
        try:
            while (chunk := (yield Read(until=self._deadline))) is not None:
                yield from self._accept(chunk)
        except APIConnectionError as error:
            return None if self._received == self._total else error
        if self._total is None or self._received == self._total:
            return None
        too_short = ArtifactMismatchError(
            f"Received only {self._received} of the artifact's {self._total} bytes.",
            attempts=head.attempts,
            history=(*head.history, f"{head.status_code}, then its end"),
        )
        if head.status_code == _OK and content_range.is_delimited(head.headers):
            raise too_short
        return too_short

    def _begin(self, head: Head) -> Operation[ClaudeAPIError | None]:
        """Process the head of a response; return why it cannot be used if another request may help."""
        encoded = content_range.is_encoded(head.headers)
        if head.status_code == _PARTIAL_CONTENT:
            mismatch = "it is encoded" if encoded else self._range_mismatch(head)
            if mismatch is not None:
                yield from self._start_over()
                return _unexpected(head, mismatch)
        elif head.status_code == _OK:
            if self._received:
                yield from self._start_over()
            self._etag = head.headers.get("etag")
            self._whole_only = encoded or not (content_range.is_strong(self._etag) or self._spec.sha256)
            self._set_total(content_range.content_length(head.headers))
        else:
            raise _unexpected(head, "it is neither the file nor a range of it")
        if not self._opened:
            yield RunBlocking(self._sink.begin)
            self._opened = True
        return None

    def _range_mismatch(self, head: Head) -> str | None:
        """Return why a range does not continue the bytes received."""
        part = content_range.content_range(head.headers)
        if part is None or not self._received or part.start != self._received:
            self._supports_ranges = False
            return f"the range from byte {self._received} was requested" if self._received else "no range was requested"
        if self._etag is not None and not content_range.same_etag(head.headers.get("etag", self._etag), self._etag):
            return "it is a range of another file"
        if self._total is not None and part.size != self._total:
            return f"it is a range of {part.size} bytes instead of {self._total}"
        self._set_total(part.size)
        return None

    def _set_total(self, size: int | None) -> None:
        """Set the size of the artifact as reported, if it is. Raises ArtifactError if it cannot be right."""
        if size is None:
            return
        if self._total is not None and size != self._total:
            raise ArtifactMismatchError(
                f"The server has {size} bytes for the artifact, which had {self._total} when the task ended. "
                "The file has changed since."
            )
        self._total = size
        self._check_limit(size)

    def _check_limit(self, size: int) -> None:
        if size > self._spec.max_bytes:
            at_least = "" if size == self._total else "at least "
            raise ArtifactTooLargeError(
                f"The artifact has {at_least}{size} bytes; max_bytes is {self._spec.max_bytes}. Pass a larger one."
            )

    def _accept(self, chunk: bytes) -> Operation[None]:
        self._pending += chunk
        self._received += len(chunk)
        if self._total is not None and self._received > self._total:
            raise ArtifactMismatchError(f"Received more than the artifact's {self._total} bytes.")
        self._check_limit(self._received)
        if self._received > self._furthest:
            self._furthest = self._received
            self._reconnects.progress()
        if len(self._pending) >= BLOCK_SIZE or time.monotonic() - self._stored_at >= _STORE_INTERVAL:
            yield from self._store_pending()

    def _store_pending(self) -> Operation[None]:
        if self._pending:
            data = bytes(self._pending)
            self._pending.clear()
            yield RunBlocking(partial(self._store, data))
            self._stored_at = time.monotonic()
            yield Emit((self._received, self._total or 0))

    def _store(self, data: bytes) -> None:
        self._digest.update(data)
        self._sink.write(data)

    def _start_over(self) -> Operation[None]:
        self._received = 0
        self._total = self._spec.size
        self._pending.clear()
        self._digest = hashlib.sha256()
        if self._opened:
            yield RunBlocking(self._sink.restart)

    def _finish(self) -> T:
        digest = self._digest.hexdigest()
        expected = self._spec.sha256 or content_range.etag_sha256(self._etag)
        if expected is not None and digest != expected.lower():
            raise ArtifactMismatchError(
                f"The bytes received have the SHA-256 {digest}; the artifact's is {expected}. "
                "The file has changed since the task ended, or was altered on the way."
            )
        return self._sink.commit()

    def _failure(self, error: ClaudeAPIError) -> ClaudeAPIError:
        """Return the last error as that of the whole download."""
        of_total = "" if self._total is None else f" of {self._total}"
        error.message = f"{error.message} The download stopped at byte {self._received}{of_total}."
        error.attempts, error.history = self._reconnects.attempts, self._reconnects.history
        return error


def _unexpected(head: Head, problem: str) -> UnexpectedResponseError:
    return UnexpectedResponseError(
        f"The response with status {head.status_code} cannot be used: {problem}. "
        "Check that base_url points to a Claude Code API, and check any proxy in between.",
        status_code=head.status_code,
        request_id=head.headers.get("x-request-id"),
        attempts=head.attempts,
        history=(*head.history, f"{head.status_code}, but {problem}"),
    )
