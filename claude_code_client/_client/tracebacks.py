"""Tracebacks without prompts and keys.

A crash reporter may show the local variables of every frame. In the frames of a call these are prompts, bodies and
headers. An exception that leaves a public method therefore starts its traceback there; one that the caller's own code
has raised, such as a callback or a signal handler, goes on with the frames of that code. Anything else that is not an
exception of this library becomes one here (``foreign_errors``). The frames that are cut off are logged at DEBUG, by
file, line and function alone.
"""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterable, Iterator
from typing import Any, ParamSpec, Protocol, Self, TypeVar

from .._transport.foreign_errors import cleaned, gate

logger = logging.getLogger("claude_code_client")

P = ParamSpec("P")
T = TypeVar("T")


class ClosableAsyncIterator(Protocol):
    """An asynchronous iterator with ``aclose()``."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Any: ...

    async def aclose(self) -> None: ...


def strip_tracebacks(method: Callable[P, T]) -> Callable[P, T]:
    """Decorate a method: strip the exceptions that it raises."""

    @functools.wraps(method)
    @gate
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
    """Decorate a coroutine method: strip the exceptions that it raises."""

    @functools.wraps(method)
    @gate
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


@gate
def strip_stream(stream: Iterable[T]) -> Generator[T, None, None]:
    """Wrap a stream: strip the exceptions that it raises."""
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


@gate
async def strip_stream_async(stream: ClosableAsyncIterator) -> AsyncGenerator[Any, None]:
    """Wrap an asynchronous iterator: strip the exceptions that it raises, and close it in the end.

    The iterator must not be an asynchronous generator: an event loop that ends closes all generators at the same time,
    and would close this one and the inner one in each other's way.
    """
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
    """Return the exception to raise to the caller, without the frames of the call."""
    # GeneratorExit is how a stream is closed: nothing has failed.
    if logger.isEnabledFor(logging.DEBUG) and not isinstance(error, GeneratorExit):
        logger.debug("%s", "\n".join(_frames(error)))
    return cleaned(error)


def _frames(error: BaseException) -> Iterator[str]:
    """Yield the frames of an exception and of its contexts, innermost last: no messages, no source, no variables."""
    reported: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in reported:
        kind = type(current)
        yield f"{'while handling ' if reported else ''}{kind.__module__}.{kind.__qualname__}, raised in"
        reported.add(id(current))
        for frame, line in traceback.walk_tb(current.__traceback__):
            yield f"  {frame.f_code.co_filename}:{line} {frame.f_code.co_qualname}"
        current = current.__cause__ or current.__context__
