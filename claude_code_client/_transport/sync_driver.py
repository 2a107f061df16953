"""Driver of synchronous operations."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import Any

from .._operations.effects import Effect, Emit, EmitEach, Open, Operation, Read, RunBlocking, Send, Sleep, Spawn, T
from ..errors import ClaudeAPIError
from .background import BackgroundWork, in_progress, is_suspended
from .background_threads import is_collecting
from .cancellation import CancelToken
from .foreign_errors import gate
from .sync_response import SyncOpenResponse
from .sync_transport import SyncRetryTransport

Outcome = tuple[Any, ClaudeAPIError | None]
"""Outcome of an effect, and the exception that it failed with."""


class OwnedOperation:
    """An operation and what aborts it: its driver or, if Ctrl-C keeps that from it, the end of this object.

    Args:
        operation: The operation.
        finish: Carries out the rest of an aborted operation.
        finish_in_thread: Does the same in a thread.
    """

    _process = 0
    """Process of the call; 0 until this object is complete."""

    def __init__(
        self,
        operation: Operation[Any],
        finish: Callable[[BackgroundWork], None],
        finish_in_thread: Callable[[BackgroundWork], None],
    ) -> None:
        self._operation = operation
        self._finish = finish
        self._finish_in_thread = finish_in_thread
        self._handed_over = False
        self._process = os.getpid()

    def abort(self, cause: BaseException | None) -> None:
        """Abort the operation if it is suspended. Ctrl-C ends the wait, and a thread carries out the rest."""
        if not self._is_left:
            return
        work = BackgroundWork.abort(self._operation, cause)
        try:
            if not is_collecting():
                self._finish(work)
        finally:
            if work.is_left:
                self._handed_over = True
                self._finish_in_thread(work)

    def __del__(self) -> None:
        if self._is_left:
            self._finish_in_thread(BackgroundWork.abort(self._operation, None))

    @property
    def _is_left(self) -> bool:
        # A fork has a copy of the call, and drops it; the task is its parent's.
        return self._process == os.getpid() and not self._handed_over and is_suspended(self._operation)


class SyncDriver:
    """Carries out the effects of one operation.

    Args:
        http: Returns the HTTP client; called for each request.
        token: Ends what the operation waits for.
        spawn: Carries an operation out in the background.
    """

    def __init__(
        self, http: Callable[[], SyncRetryTransport], token: CancelToken, spawn: Callable[[Operation[Any]], None]
    ) -> None:
        self._http = http
        self._token = token
        self._spawn = spawn
        self._response = SyncOpenResponse(token)

    @gate  # what a caller throws into its stream arrives here
    def emit(
        self,
        operation: Operation[T],
        attached: Callable[[Any], Any],
        abort: Callable[[BaseException], None],
        on_emit: Callable[[Emit], None] | None = None,
    ) -> Generator[Any, None, T]:
        """Carry out an operation and yield the values that it emits.

        Args:
            operation: The operation.
            attached: Called with every value that leaves the operation, exceptions included; returns it.
            abort: Called if an exception, such as GeneratorExit, may have left the operation suspended.
            on_emit: Called with each value before it is yielded.
        """
        in_progress.add(operation)
        try:
            effect = next(operation)
            while True:
                if isinstance(effect, Emit):
                    if on_emit is not None:
                        on_emit(effect)
                    yield attached(effect.value)
                    effect = operation.send(None)
                    continue
                if isinstance(effect, EmitEach):
                    for value in effect.values:
                        if on_emit is not None:
                            on_emit(Emit(value, effect.task_id))
                        yield value
                    effect = operation.send(None)
                    continue
                outcome, failure = self._attempt(effect)
                effect = operation.send(outcome) if failure is None else operation.throw(failure)
        except StopIteration as stop:
            result: T = attached(stop.value)
            return result
        except BaseException as cause:
            try:
                attached(cause)
                self._response.close()
            finally:  # Ctrl-C may have come while a stream is being closed
                abort(cause)
            raise
        finally:
            in_progress.discard(operation)
            self._response.close()

    def finish(self, work: BackgroundWork) -> None:
        """Carry out the rest of an operation that has no caller."""
        try:
            while work.effect is not None:
                work.resume(*self._attempt(work.effect))
        finally:
            self._response.close()

    def _attempt(self, effect: Effect) -> Outcome:
        try:
            return self._perform(effect), None
        except ClaudeAPIError as error:
            return None, error

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Send():
                self._token.check()
                http = self._http()
                return http.handle(http.requests.whole(effect, token=self._token))
            case Open():
                self._token.check()
                return self._response.open(self._http(), effect)
            case Read():
                self._token.check()
                return self._response.read(effect)
            case Sleep():
                self._token.wait(effect.seconds)
                return self._token.check()
            case Spawn():
                return self._spawn(effect.operation)
            case RunBlocking():
                return effect.work()
            case Emit() | EmitEach():
                return None
