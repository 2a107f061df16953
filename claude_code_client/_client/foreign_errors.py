"""Exceptions that are not this library's: those of its own machinery become typed, those of user code stay.

User code runs inside of a call when it is a callback or a signal handler, such as that of a time limit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import PurePath
from types import CodeType, FrameType, TracebackType
from typing import Final

from ..errors import ClaudeAPIError, ConfigurationError, InvalidRequestError

_OWN: Final = frozenset({
    "claude_code_client", "claude_code_common", "claude_code_api", "attr", "attrs", "dateutil",
    "httpx", "httpcore", "h11", "anyio", "sniffio", "certifi", "idna", "socksio",
})  # fmt: skip
_LIBRARY: Final = _OWN | sys.stdlib_module_names
_PASSED_ON: Final = (StopIteration, StopAsyncIteration, MemoryError, RecursionError)
"""Signals of Python, not failures of a call."""
_CALLING: Final = frozenset({f"{__package__}.tracebacks", f"{__package__}.options"})
"""Modules whose frames call a public method, and refuse unknown arguments."""

_thrown: ContextVar[BaseException | type[BaseException] | None] = ContextVar("claude_code_client_thrown", default=None)


@contextmanager
def thrown_by_user(error: BaseException | type[BaseException]) -> Iterator[None]:
    """Mark an exception that a user throws into a stream."""
    outer = _thrown.set(error)
    try:
        yield
    finally:
        _thrown.reset(outer)


def typed(error: Exception) -> Exception:
    """Return this library's exception for one that its own machinery raised, and any other one unchanged."""
    if isinstance(error, (ClaudeAPIError, *_PASSED_ON)) or _is_thrown(error):
        return error
    frames = list(_frames(error.__traceback__))
    if not _is_library(type(error).__module__) or any(not _is_library(_module(frame)) for frame, _ in frames):
        return error
    if isinstance(error, TypeError) and (not frames or _module(frames[-1][0]) in _CALLING):
        return error  # the arguments do not match the signature
    # httpx has no other exception than this one for a request that it cannot build.
    if isinstance(error, UnicodeError) or type(error).__name__ == "InvalidURL":
        return InvalidRequestError(
            "The request cannot be sent: an argument is too long, or contains characters that cannot be encoded. "
            "Check ids and texts for lone surrogates and control characters."
        )
    if isinstance(error, ImportError):
        return ConfigurationError(
            f"A package is missing: {error}. Install it, or use another setting (a SOCKS proxy needs httpx[socks])."
        )
    frame, line = frames[-1] if frames else (None, 0)
    code: CodeType | None = frame.f_code if frame is not None else None
    where = f"{PurePath(code.co_filename).name}:{line} {code.co_qualname}" if code is not None else "unknown"
    # No message: it may repeat a prompt or a header.
    return ClaudeAPIError(
        f"The call failed with {type(error).__name__} in {where}, which this client does not expect. Check the "
        "arguments, the proxy and TLS settings of the environment, and that the task still runs as you want; "
        "if they are right, report this message as a bug of claude-code-client.",
        outcome_unknown=True,
    )


def forget_call(error: BaseException) -> None:
    """Leave only the frames of user code on an exception of theirs, and clear those of the call.

    The frames of the call hold prompts and headers, and are reachable from those of a signal handler.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        current.__traceback__ = _of_user(current.__traceback__)
        # What the handler interrupted, and what user code did not raise, is the call's.
        if current.__context__ is not None and not _raised_by_user(current.__context__):
            _of_user(current.__context__.__traceback__)
            current.__context__ = None
        if current.__cause__ is not None:
            _pending(current.__cause__, seen)
        current = current.__context__


def _pending(cause: BaseException, seen: set[int]) -> None:
    if id(cause) not in seen:
        seen.add(id(cause))
        cause.__traceback__ = _of_user(cause.__traceback__)


def _of_user(traceback: TracebackType | None) -> TracebackType | None:
    """Clear the frames of the call, and return the traceback from the first frame of user code on."""
    kept: list[TracebackType] = []
    current = traceback
    while current is not None:
        module = _module(current.tb_frame)
        if _root(module) in _OWN or (not kept and _is_library(module)):
            with suppress(RuntimeError):  # still running: the public method, which holds nothing any more
                current.tb_frame.clear()
        else:
            kept.append(current)
        current = current.tb_next
    result: TracebackType | None = None
    for each in reversed(kept):
        result = TracebackType(result, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return result


def _raised_by_user(error: BaseException) -> bool:
    return any(not _is_library(_module(frame)) for frame, _ in _frames(error.__traceback__))


def _is_thrown(error: BaseException) -> bool:
    thrown = _thrown.get()
    return error is thrown or (isinstance(thrown, type) and type(error) is thrown)


def _frames(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_library(module: str) -> bool:
    return _root(module) in _LIBRARY


def _root(module: str) -> str:
    return module.partition(".")[0]
