"""Keeps prompts out of tracebacks.

A crash reporter may show the local variables of every frame, and those of a call's frames are prompts, bodies and
headers. An exception that leaves a public method starts its traceback there, with nothing of them in sight.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import Any, ParamSpec, TypeVar

from .errors import ClaudeAPIError

P = ParamSpec("P")
T = TypeVar("T")


def sealed(method: Callable[P, T]) -> Callable[P, T]:
    """For a method that returns its result."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except ClaudeAPIError as error:
            failure = error.with_traceback(None)
        del args, kwargs
        raise failure from None

    return call


def sealed_async(method: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """For a coroutine method."""

    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(*args, **kwargs)
        except ClaudeAPIError as error:
            failure = error.with_traceback(None)
        del args, kwargs
        raise failure from None

    return call


def seal(stream: Generator[T, None, Any]) -> Generator[T, None, None]:
    """For a generator that a method returns."""
    failure = None
    try:
        yield from stream
    except ClaudeAPIError as error:
        failure = error.with_traceback(None)
    if failure is not None:
        raise failure from None


async def seal_async(stream: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """For an asynchronous generator that a method returns."""
    failure = None
    try:
        async for item in stream:
            yield item
    except ClaudeAPIError as error:
        failure = error.with_traceback(None)
    finally:
        await stream.aclose()
    if failure is not None:
        raise failure from None
