"""Results that callers share: who asks for the same at once, or soon after another, gets what was made once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SharedResults(Generic[T]):
    """Results by key, of which the latest are kept: up to ``limit`` in total, as ``size`` measures each."""

    def __init__(self, limit: int, size: Callable[[T], int]) -> None:
        self._limit = limit
        self._size = size
        self._kept: dict[Hashable, T] = {}
        self._total = 0
        self._making: dict[Hashable, asyncio.Task[T | None]] = {}

    async def get(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T | None]]) -> T | None:
        """Return the result for ``key``; make it if it is neither kept nor being made. None is not kept.

        Raise what ``make`` raises. A caller that is cancelled takes nothing from the others.
        """
        if (kept := self._kept.pop(key, None)) is not None:
            self._kept[key] = kept  # used last
            # As if it had been made: a caller that takes one result after another must let others have their turn.
            await asyncio.sleep(0)
            return kept
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = asyncio.create_task(self._make(key, make()))
        return await asyncio.shield(making)

    async def _make(self, key: Hashable, work: Coroutine[Any, Any, T | None]) -> T | None:
        try:
            result = await work
        finally:
            del self._making[key]
        if result is not None:
            self._keep(key, result)
        return result

    def _keep(self, key: Hashable, result: T) -> None:
        self._kept[key] = result
        self._total += self._size(result)
        while self._total > self._limit:
            oldest = next(iter(self._kept))
            self._total -= self._size(self._kept.pop(oldest))
