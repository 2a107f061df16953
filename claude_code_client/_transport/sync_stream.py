"""Stream of a synchronous operation: a generator that its client ends when it closes. Twin of ``async_execution``."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Any

from ..errors import ClaudeAPIError, ClosedError
from .cancellation import CLOSED_DURING_CALL, CancelToken
from .foreign_errors import gate


class SyncStream:
    """Values that an operation emits. What the client ended early is still to be had: the values, then the error."""

    def __init__(self, values: Generator[Any, None, Any], token: CancelToken) -> None:
        self._values = values
        self._token = token
        self._rest: list[Any] = []
        self._failure: ClaudeAPIError | None = None
        self._is_ending = False
        """True while the client is ending the operation."""

    @gate
    def __iter__(self) -> Iterator[Any]:
        values = self._values
        while True:
            try:
                value = next(values)
            except StopIteration:
                break
            except ValueError as error:
                if not (self.is_cancelled and "already executing" in str(error)):
                    raise
                # The client, which is being closed, has just entered it.
                raise ClosedError(CLOSED_DURING_CALL) from None
            try:
                yield value
            except GeneratorExit:
                self.abort()
                raise
            except BaseException as error:
                values.throw(error)
        if self._is_ending:
            raise ClosedError(CLOSED_DURING_CALL)
        yield from self._rest
        if self._failure is not None:
            raise self._failure

    @property
    def is_cancelled(self) -> bool:
        """True if the stream was ended by ``cancel`` or ``end``."""
        return self._token.is_cancelled

    def cancel(self) -> None:
        """End whatever the operation waits for with ClosedError, from any thread."""
        self._token.cancel()

    def check_loop(self) -> None:
        """Do nothing: every thread may read the stream."""

    def end(self) -> None:
        """End the operation, also if nobody waits for its next value: its task is cancelled in the background."""
        self.cancel()
        if self._is_idle:
            self._is_ending = True
            try:
                with suppress(ValueError):  # a thread has entered it meanwhile
                    for value in self._values:
                        self._rest.append(value)
            except ClaudeAPIError as error:
                self._failure = error.with_traceback(None)
            finally:
                self._is_ending = False

    def abort(self) -> None:
        """Abort the operation, as if its caller left it, and close its response."""
        if self._is_idle:
            with suppress(ValueError):  # a thread has entered it meanwhile
                self._values.close()

    @property
    def _is_idle(self) -> bool:
        """True if the operation has begun and no thread is inside; one that is ends it."""
        return inspect.getgeneratorstate(self._values) == inspect.GEN_SUSPENDED
