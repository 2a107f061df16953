"""Operations that nobody waits for any more: aborted ones, and those that another operation has spawned.

How a call ends early
---------------------

A caller leaves a call by an exception (Ctrl-C, CancelledError, what ``on_event`` raises), by closing a stream, or by
dropping one. The driver then *aborts* the operation: it throws ``Aborted`` into the generator, where the call stopped.

*What an aborted operation may do.* It may yield further effects to clean up, such as cancelling its task, each with a
deadline of its own and safe to carry out twice. Failures of effects are thrown into it as ever. What it emits is
dropped. It must not block between effects: on an event loop it runs there.

*Who waits.* The caller's exception is raised once the operation has ended, so that budgets are settled by then; the
deadlines of the effects bound the wait. An asynchronous caller that is cancelled twice more stops waiting, and the
cleanup goes on without it. Nobody waits for a spawned operation.

*Where it runs.* A synchronous client aborts in the caller's thread, on the client's pool. An asynchronous client uses
a task of the caller's event loop and the loop's pool: no thread, no new connection. ``AsyncBackground`` holds the task
and shields it from the caller's cancellation.

*Who cancels it.* Nobody but the end of its place: the client is closed, the event loop ends (``asyncio.run`` cancels
all tasks and then closes all asynchronous generators) or is dropped, the coroutine is closed outside of a loop. A
thread with a connection of its own then repeats the effect that was cut and carries out the rest: the task on the
server costs money. The process does not end before such a thread. Once the process is ending, the rest runs at exit.

*What is left alone.* A forked child drops its copies of its parent's operations.

A cancel token is another thing: it ends what a call *waits for* with ClosedError, which the operation handles itself,
in most cases by spawning the cancellation of its task.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

from .._operations.effects import Aborted, Effect, Operation
from ..errors import ClaudeAPIError


class BackgroundWork:
    """An operation without a caller, and the effect that it waits for. Any driver may carry out the rest."""

    def __init__(self, operation: Operation[Any], begin: Callable[[], Effect]) -> None:
        self._operation = operation
        self._process = os.getpid()
        self.effect: Effect | None = None
        """The effect to carry out next; None once the operation has ended."""
        self._advance(begin)

    @classmethod
    def spawn(cls, operation: Operation[Any]) -> BackgroundWork:
        """Start an operation."""
        return cls(operation, lambda: next(operation))

    @classmethod
    def abort(cls, operation: Operation[Any], cause: BaseException | None) -> BackgroundWork:
        """Abort a suspended operation; ``cause`` is what made its caller leave."""
        return cls(operation, lambda: operation.throw(Aborted(cause)))

    @property
    def is_left(self) -> bool:
        """Whether this process has a rest to carry out."""
        return self.effect is not None and self._process == os.getpid()

    def resume(self, outcome: Any, failure: ClaudeAPIError | None) -> None:
        """Pass on the outcome of ``effect``, or its failure, and take the next effect."""
        operation = self._operation
        self._advance(lambda: operation.send(outcome) if failure is None else operation.throw(failure))

    def _advance(self, step: Callable[[], Effect]) -> None:
        self.effect = None
        try:
            self.effect = step()
        except (StopIteration, Aborted, ClaudeAPIError):
            # Nobody is there to receive a result or an exception.
            return


def is_suspended(operation: Operation[Any]) -> bool:
    """Return whether the operation waits for an effect, so that it can be aborted."""
    return inspect.getgeneratorstate(operation) == inspect.GEN_SUSPENDED
