"""A completion in progress, which any number of callers can wait for or follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Self

from claude_code_api.models import CompletionResponse

from ..domain.errors import ApiError
from ..runtime.broadcast import Broadcast
from .messages import completion_texts


class InFlightCompletion:
    """Texts of one completion so far, and its end."""

    def __init__(self, fingerprint: str = "") -> None:
        self.fingerprint = fingerprint
        """Hash of the request body; empty without an idempotency key."""
        self.task: asyncio.Task[None] | None = None
        """Task that works on the completion; None for one that had its end at once."""
        self.encoded: bytes | None = None
        """Response as JSON, if it has been encoded."""
        self._texts: list[str] = []
        self._end: CompletionResponse | ApiError | None = None
        self._changed = Broadcast()

    @classmethod
    def completed(cls, response: CompletionResponse) -> Self:
        """Return a completion that has ended already."""
        completion = cls()
        completion.finish(response)
        return completion

    def add_text(self, text: str) -> None:
        """Append a text and notify followers."""
        if text:
            self._texts.append(text)
            self._changed.notify()

    def finish(self, end: CompletionResponse | ApiError, encoded: bytes | None = None) -> None:
        """End the completion and notify followers; do nothing if it has ended before."""
        if self._end is None:
            self.encoded = encoded
            if isinstance(end, CompletionResponse) and not self._texts:
                self._texts = [text for text in completion_texts(end) if text]
            self._end = end
            self._changed.notify()

    async def wait(self) -> CompletionResponse:
        """Wait for the end and return the response. Raise ApiError."""
        while self._end is None:
            await self._changed.wait()
        if isinstance(self._end, ApiError):
            raise self._end
        return self._end

    async def wait_started(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for the first text. Raise ApiError if the completion fails before it."""
        try:
            async with asyncio.timeout(timeout):
                while not self._texts and self._end is None:
                    await self._changed.wait()
        except TimeoutError:
            return
        if not self._texts and isinstance(self._end, ApiError):
            raise self._end

    async def follow(self, ping_interval: float) -> AsyncIterator[str | CompletionResponse | ApiError | None]:
        """Yield all texts from the first on, then the end; yield None after ``ping_interval`` seconds without any."""
        position = 0
        while True:
            while position < len(self._texts):
                position += 1
                yield self._texts[position - 1]
            if self._end is not None:
                yield self._end
                return
            if not await self._changed.wait(ping_interval):
                yield None
