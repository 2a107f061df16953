"""Background work: operations whose caller has left, and operations that another one has spawned.

A caller leaves a call by an exception (Ctrl-C, CancelledError, one that ``on_event`` raises), by closing a stream or by
dropping it. The driver then *aborts* the operation: it throws ``Aborted`` into the generator where that waits.

What an aborted operation may do
    It may yield further effects to clean up, such as the cancellation of its task. Each has a deadline, and may be
    carried out twice without harm. A failed effect is thrown into the operation as usual. Values that it emits are
    dropped. Blocking work needs ``RunBlocking``, since the operation may run on an event loop. Spawned operations
    follow the same rules.

Who waits
    The exception reaches the caller once the operation has ended: budgets are settled by then, and the deadlines of the
    effects bound the wait. An asynchronous caller that is cancelled again stops waiting; the cleanup goes on. Nobody
    waits for a spawned operation.

Where it runs
    Synchronous client: the abort runs in the caller's thread on the client's pool; spawned operations, and aborts of a
    closed client, get a connection of their own. Asynchronous client: both run in a task of the loop on the loop's pool
    (``AsyncBackground``), shielded from the caller's cancellation, without a thread or another connection.

Who cancels it, and when
    The end of its place does: the client is closed; the loop ends (``asyncio.run`` cancels all tasks, then closes all
    asynchronous generators), stops while nobody waits, or is dropped; a coroutine is closed outside of its loop; the
    loop is so busy that the deadline passes before the request is sent. A thread with a connection of its own repeats
    the effect that was cut and carries out the rest, since the task on the server costs money. A process waits for such
    threads before it ends. In the synchronous client, Ctrl-C during the cleanup ends the wait in the same way.

Forked children
    A child drops its copies of its parent's operations.

A cancel token does something else. It ends what an operation *waits for* with ClosedError; the operation handles that
error itself, in most cases by spawning the cancellation of its task.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any, Final

from .._operations.effects import Aborted, Effect, Operation
from ..errors import ClaudeAPIError

in_progress: Final = set[Operation[Any]]()
"""Operations of synchronous drivers. Without this reference, the garbage collector might close an operation before its
driver, which could then no longer abort it."""


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
        """True if steps are left for this process to carry out."""
        return self.effect is not None and self._process == os.getpid()

    def resume(self, outcome: Any, failure: ClaudeAPIError | None) -> None:
        """Pass on the outcome of ``effect``, or its failure, and take the next effect."""
        operation = self._operation
        self._advance(lambda: operation.send(outcome) if failure is None else operation.throw(failure))

    def _advance(self, step: Callable[[], Effect]) -> None:
        try:
            self.effect = step()
        except (StopIteration, Aborted, ClaudeAPIError):
            # Nobody is there to receive a result or an exception.
            self.effect = None
        except BaseException:
            # Ctrl-C may come before the operation has taken the outcome: the effect is then repeated.
            if not is_suspended(self._operation):
                self.effect = None
            raise


def is_suspended(operation: Operation[Any]) -> bool:
    """Return whether the operation waits for an effect, so that it can be aborted."""
    return inspect.getgeneratorstate(operation) == inspect.GEN_SUSPENDED
