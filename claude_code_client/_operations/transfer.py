"""The bytes of one artifact, over as many connections as it takes, counted and checked; a operation. No I/O."""

from __future__ import annotations

import hashlib
import time
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

import attrs
from claude_code_api.api.tasks import download_artifact
from claude_code_api.types import UNSET

from .._policy.reconnect import ReconnectBudget, is_transient
from .._wire import content_range as file_headers
from ..errors import (
    APIConnectionError,
    ArtifactMismatchError,
    ArtifactTooLargeError,
    ClaudeAPIError,
    UnexpectedResponseError,
)
from .effects import Aborted, Emit, Head, Open, Operation, Read, Request, RunBlocking

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

BLOCK: Final = 1024 * 1024
"""Bytes that are stored at a time; each time costs an asynchronous client a change of threads."""
_STORE_EVERY: Final = 0.5
"""Seconds after which fewer are stored too, so that progress is seen on a slow connection."""
_NO_SUCH_PART: Final = 416


@attrs.frozen(kw_only=True)
class ArtifactSpec:
    """An artifact, and what is known of it before its first byte."""

    task_id: str
    artifact_id: str
    size: int | None
    """Bytes."""
    sha256: str | None
    max_bytes: int


class Sink(Protocol[T_co]):
    """What the bytes go to."""

    def begin(self) -> None:
        """Make ready for the first byte."""

    def write(self, data: bytes, /) -> None: ...

    def restart(self) -> None:
        """Forget what was written."""

    def commit(self) -> T_co:
        """All is there and as it should be."""
        ...

    def discard(self) -> None:
        """Leave no trace of what was not committed. Called in the end, whatever that is."""


class Transfer(Generic[T]):
    """Emits how many bytes are stored, and how many there are (0: unknown); gives back what the sink makes of them."""

    def __init__(self, wanted: ArtifactSpec, sink: Sink[T], *, deadline: float, read_timeout: float) -> None:
        self._wanted = wanted
        self._sink = sink
        self._deadline = deadline
        self._read_timeout = read_timeout
        self._reconnects = ReconnectBudget()
        self._total = wanted.size
        self._received = 0
        self._furthest = 0
        self._pending = bytearray()
        self._stored_at = time.monotonic()
        self._digest = hashlib.sha256()
        self._etag: str | None = None
        self._opened = False
        self._whole_only = False
        """The answer that is being read cannot be continued by another."""
        self._gives_parts = True
        """The server has not been seen to give other parts than it was asked for."""

    def run(self) -> Operation[T]:
        """Raises ArtifactError and its kinds, APIConnectionError, TimeoutError; what the server says if it refuses."""
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
        self._expect(self._wanted.size)
        while (problem := (yield from self._connection())) is not None:
            self._reconnects.note(problem.attempts, problem.history)
            if not (yield from self._reconnects.pause(self._deadline, asked=problem.retry_after)):
                raise self._given_up(problem)
        yield from self._store_pending()

    def _connection(self) -> Operation[ClaudeAPIError | None]:
        """One connection to its end; what was wrong with it, if there is more to come."""
        try:
            head = yield Open(
                request=self._request(),
                deadline=self._deadline,
                read_timeout=self._read_timeout,
                accept="application/octet-stream",
            )
        except ClaudeAPIError as error:
            no_part = error.status_code == _NO_SUCH_PART
            if not self._opened or not (no_part or is_transient(error, opened=True)):
                raise
            problem = error
        else:
            return (yield from self._answer(head))
        if problem.status_code == _NO_SUCH_PART:
            yield from self._start_over()
        return problem

    def _request(self) -> Request:
        asks_for_part = self._received > 0 and self._gives_parts and not self._whole_only
        joined = self._etag if asks_for_part and file_headers.is_strong(self._etag) else None
        return download_artifact._get_kwargs(
            self._wanted.task_id,
            self._wanted.artifact_id,
            range_=f"bytes={self._received}-" if asks_for_part else UNSET,
            if_range=joined or UNSET,
        )

    def _answer(self, head: Head) -> Operation[ClaudeAPIError | None]:
        misfit = yield from self._begin(head)
        if misfit is not None:
            return misfit
        try:
            while (chunk := (yield Read(until=self._deadline))) is not None:
                yield from self._take(chunk)
        except APIConnectionError as error:
            return None if self._received == self._total else error
        if self._total is None or self._received == self._total:
            return None
        end = ArtifactMismatchError(
            f"Only {self._received} of the artifact's {self._total} bytes came.",
            attempts=head.attempts,
            history=(*head.history, f"{head.status_code}, then its end"),
        )
        if head.status_code == 200 and file_headers.ends_by_itself(head):
            raise end
        return end

    def _begin(self, head: Head) -> Operation[ClaudeAPIError | None]:
        """Take the start of an answer in; what is wrong with it, if another one is to be asked for."""
        encoded = file_headers.is_encoded(head)
        if head.status_code == 206:
            misfit = "it is encoded" if encoded else self._misfit(head)
            if misfit is not None:
                yield from self._start_over()
                return _unexpected(head, misfit)
        elif head.status_code == 200:
            if self._received:
                yield from self._start_over()
            self._etag = head.headers.get("etag")
            self._whole_only = encoded or not (file_headers.is_strong(self._etag) or self._wanted.sha256)
            self._expect(file_headers.length(head))
        else:
            raise _unexpected(head, "it is neither the file nor a part of it")
        if not self._opened:
            yield RunBlocking(self._sink.begin)
            self._opened = True
        return None

    def _misfit(self, head: Head) -> str | None:
        """Why a part does not continue what has come."""
        part = file_headers.part(head)
        if part is None or not self._received or part.start != self._received:
            self._gives_parts = False
            return (
                f"the part from byte {self._received} on was asked for" if self._received else "no part was asked for"
            )
        if self._etag is not None and not file_headers.same(head.headers.get("etag", self._etag), self._etag):
            return "it is a part of another file"
        if self._total is not None and part.size != self._total:
            return f"it is a part of {part.size} bytes instead of {self._total}"
        self._expect(part.size)
        return None

    def _expect(self, size: int | None) -> None:
        """Take note of how large the artifact is said to be."""
        if size is None:
            return
        if self._total is not None and size != self._total:
            raise ArtifactMismatchError(
                f"The server has {size} bytes for the artifact, which had {self._total} when the task ended. "
                "The file was changed since."
            )
        self._total = size
        self._check_limit(size)

    def _check_limit(self, size: int) -> None:
        if size > self._wanted.max_bytes:
            at_least = "" if size == self._total else "at least "
            raise ArtifactTooLargeError(
                f"The artifact has {at_least}{size} bytes; max_bytes is {self._wanted.max_bytes}. Give a larger one."
            )

    def _take(self, chunk: bytes) -> Operation[None]:
        self._pending += chunk
        self._received += len(chunk)
        if self._total is not None and self._received > self._total:
            raise ArtifactMismatchError(f"More bytes came than the {self._total} that the artifact has.")
        self._check_limit(self._received)
        if self._received > self._furthest:
            self._furthest = self._received
            self._reconnects.progress()
        if len(self._pending) >= BLOCK or time.monotonic() - self._stored_at >= _STORE_EVERY:
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
        self._total = self._wanted.size
        self._pending.clear()
        self._digest = hashlib.sha256()
        if self._opened:
            yield RunBlocking(self._sink.restart)

    def _finish(self) -> T:
        found = self._digest.hexdigest()
        wanted = self._wanted.sha256 or file_headers.sha256(self._etag)
        if wanted is not None and found != wanted.lower():
            raise ArtifactMismatchError(
                f"The bytes that came have the SHA-256 {found}; those that the task made have {wanted}. "
                "The file was changed since, or on the way."
            )
        return self._sink.commit()

    def _given_up(self, problem: ClaudeAPIError) -> ClaudeAPIError:
        """The last problem, as that of the whole download."""
        of = "" if self._total is None else f" of {self._total}"
        problem.message = f"{problem.message} The download broke off for good at byte {self._received}{of}."
        problem.attempts, problem.history = self._reconnects.attempts, self._reconnects.history
        return problem


def _unexpected(head: Head, problem: str) -> UnexpectedResponseError:
    return UnexpectedResponseError(
        f"The answer with status {head.status_code} cannot be used: {problem}. "
        "Check that base_url is a Claude Code API, and what proxies are on the way.",
        status_code=head.status_code,
        request_id=head.headers.get("x-request-id"),
        attempts=head.attempts,
        history=(*head.history, f"{head.status_code}, but {problem}"),
    )
