"""Keeps prompts and keys out of tracebacks.

A crash reporter may show the local variables of every frame, and those of a call's frames are prompts, bodies and
headers. An exception that leaves a public method starts its traceback there, with nothing of them in sight: those of
this library, and those that end a call from outside, such as KeyboardInterrupt and CancelledError.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import Any, ParamSpec, Protocol, Self, TypeVar

from ..errors import ClaudeAPIError

P = ParamSpec("P")
T = TypeVar("T")


class ClosableAsyncIterator(Protocol):
    """An asynchronous iterator with ``aclose()``."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Any: ...

    async def aclose(self) -> None: ...


def strip_tracebacks(method: Callable[P, T]) -> Callable[P, T]:
    """For a method that returns its result."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except BaseException as error:
            failure = _stripped(error)
        del args, kwargs
        try:
            raise failure
        finally:
            del failure

    return call


def strip_tracebacks_async(method: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """For a coroutine method."""

    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(*args, **kwargs)
        except BaseException as error:
            failure = _stripped(error)
        del args, kwargs
        try:
            raise failure
        finally:
            del failure

    return call


def strip_stream(stream: Generator[T, None, Any]) -> Generator[T, None, None]:
    """For a generator that a method returns."""
    try:
        yield from stream
    except BaseException as error:
        failure = _stripped(error)
    else:
        return
    try:
        raise failure
    finally:
        del failure


async def strip_stream_async(stream: ClosableAsyncIterator) -> AsyncGenerator[Any, None]:
    """For an asynchronous iterator, which must not be an asynchronous generator itself, that a method returns."""
    try:
        async for value in stream:
            yield value
    except BaseException as error:
        failure = _stripped(error)
    else:
        return
    finally:
        await stream.aclose()
    try:
        raise failure
    finally:
        del failure


def _stripped(error: BaseException) -> BaseException:
    """The exception without its past. One that nobody foresaw keeps it: it is a bug, to be found by its traceback."""
    if isinstance(error, Exception) and not isinstance(error, ClaudeAPIError):
        return error
    error.__context__ = None
    return error.with_traceback(None)
