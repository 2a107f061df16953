"""Exceptions that are not of this library: those of the caller's code pass, all others become ClaudeAPIErrors.

The caller's code runs in the middle of a call: callbacks, signal handlers (a task queue's time limit, Ctrl-C), methods
of the arguments. Its exceptions are the caller's business, and keep the frames of the caller's code. Whatever else is
raised, by the standard library, by httpx or by a bug in this library, is one that no caller can be expected to know.

The frames of this library are removed from all of them: they hold prompts and headers.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from types import CodeType, TracebackType
from typing import Any, Final, TypeVar

from ..errors import ClaudeAPIError

F = TypeVar("F", bound=Callable[..., Any])

_OURS: Final = {"claude_code_client", "claude_code_common", "claude_code_api"}
_BELOW: Final = {*_OURS, "anyio", "attr", "attrs", "certifi", "h11", "httpcore", "httpx", "idna", "sniffio", "socksio"}
_LIBRARIES: Final = (_BELOW | sys.stdlib_module_names) - {"__main__"}
_gates: set[CodeType] = set()
"""Code that only calls the caller's code, or that the caller's exceptions are thrown into."""


def gate(function: F) -> F:
    """Decorate a function: what it raises itself, without a further frame of this library, is the caller's."""
    _gates.add(function.__code__)
    return function


@gate
def call_callback(callback: Callable[[Any], Any], value: Any) -> Any:
    """Call a function of the caller, which may be a built-in one without a frame."""
    return callback(value)


@gate
async def await_callback(awaitable: Awaitable[Any]) -> None:
    """Await what a function of the caller has returned."""
    await awaitable


def foreign_cause(error: BaseException) -> BaseException | None:
    """Return the exception of the caller's code that a library has converted to ``error``; None if there is none.

    A signal handler may raise TimeoutError, which httpcore takes for that of a socket.
    """
    cause = error.__cause__
    while cause is not None and not is_foreign(cause):
        cause = cause.__cause__
    return cause


def cleaned(error: BaseException) -> BaseException:
    """Return the exception to raise to the caller: without frames of this library, and of a type that callers know."""
    if isinstance(error, Exception) and not isinstance(error, ClaudeAPIError) and not is_foreign(error):
        error = _unexpected(error)
    if isinstance(error, ClaudeAPIError):
        # The frames and the contexts of an exception that is documented are of no use to anybody.
        error.__context__ = None
        return error.with_traceback(None)
    for each in _chain(error):
        each.__traceback__ = _foreign_frames(each.__traceback__)
        if each.__context__ is not None and not is_foreign(each.__context__):
            each.__context__ = None
        if each.__cause__ is not None and not isinstance(each.__cause__, ClaudeAPIError):
            # Assigning a cause suppresses the context.
            suppressed = each.__suppress_context__
            each.__cause__ = each.__cause__ if is_foreign(each.__cause__) else None
            each.__suppress_context__ = suppressed
    return error


def _unexpected(error: Exception) -> ClaudeAPIError:
    """Return the exception for a failure that nobody has foreseen. Its message may hold a prompt, and is left out."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if _package(frame.f_globals) in _OURS]
    where = f" in {frames[-1].f_globals['__name__']}.{frames[-1].f_code.co_qualname}" if frames else ""
    unexpected = ClaudeAPIError(
        f"The client failed with an unexpected {type(error).__name__}{where}. This is a bug in the client: please "
        "report it, with the frames that the logger claude_code_client shows at level DEBUG.",
        outcome_unknown=True,
    )
    for note in getattr(error, "__notes__", ()):
        unexpected.add_note(note)
    return unexpected


def is_foreign(error: BaseException) -> bool:
    """Return whether the caller's code has raised the exception, as far as its type and its frames tell."""
    if type(error).__module__.partition(".")[0] not in _LIBRARIES:
        return True
    if _foreign_frames(error.__traceback__) is not None:
        return True
    if isinstance(error.__cause__, StopIteration | StopAsyncIteration) and is_foreign(error.__cause__):
        return True  # PEP 479
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code in _gates


def _foreign_frames(frames: TracebackType | None) -> TracebackType | None:
    """Return the traceback from the first frame that is neither of this library nor of one below it."""
    while frames is not None and _package(frames.tb_frame.f_globals) in _LIBRARIES:
        if frames.tb_frame.f_code in _callbacks:
            return frames.tb_next
        frames = frames.tb_next
    return frames


def _package(names: dict[str, Any]) -> str:
    return str(names.get("__name__")).partition(".")[0]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception with its causes, contexts and the members of groups."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        current = todo.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        todo += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            todo += current.exceptions


_callbacks: Final = {call_callback.__code__, await_callback.__code__}
