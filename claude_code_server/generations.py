"""Completions under way: one call of the upstream each, however many callers wait for it or follow it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

from claude_code_api.models import CompletionResponse

from .completions import Asked, Assembly, completion, refusal, spent, texts
from .errors import ApiError, shutting_down
from .failures import log_failure
from .records import iso, now
from .store import Claim, Store
from .upstream import Upstream, UpstreamError

_log = logging.getLogger(__name__)
SCOPE = "completion"
_KEPT_FOR = timedelta(hours=24)


class Generation:
    """One completion: its text so far, and its end."""

    def __init__(self, fingerprint: str = "") -> None:
        self.fingerprint = fingerprint
        self.working: asyncio.Task[None] | None = None
        self._deltas: list[str] = []
        self._end: CompletionResponse | ApiError | None = None
        self._news = asyncio.Event()

    @classmethod
    def stored(cls, reply: CompletionResponse) -> "Generation":
        """One that has ended already."""
        generation = cls()
        generation.end(reply)
        return generation

    def add(self, text: str) -> None:
        if text:
            self._deltas.append(text)
            self._tell()

    def end(self, end: CompletionResponse | ApiError) -> None:
        if self._end is None:
            if isinstance(end, CompletionResponse) and not self._deltas:
                self._deltas = [text for text in texts(end) if text]
            self._end = end
            self._tell()

    async def reply(self) -> CompletionResponse:
        """The whole reply. Raises ApiError."""
        while self._end is None:
            await self._news.wait()
        if isinstance(self._end, ApiError):
            raise self._end
        return self._end

    async def started(self, seconds: float) -> None:
        """Wait for the first text, for ``seconds`` at most. Raises ApiError if it ended badly before that."""
        try:
            async with asyncio.timeout(seconds):
                while not self._deltas and self._end is None:
                    await self._news.wait()
        except TimeoutError:
            return
        if not self._deltas and isinstance(self._end, ApiError):
            raise self._end

    async def follow(self, ping: float) -> AsyncIterator[str | CompletionResponse | ApiError | None]:
        """Texts from the first on, then how it ended; None whenever there was nothing for ``ping`` seconds."""
        position = 0
        while True:
            while position < len(self._deltas):
                position += 1
                yield self._deltas[position - 1]
            if self._end is not None:
                yield self._end
                return
            try:
                async with asyncio.timeout(ping):
                    await self._news.wait()
            except TimeoutError:
                yield None

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Generations:
    """Starts completions, and finds the ones that a repeated call means."""

    def __init__(self, upstream: Upstream, store: Store) -> None:
        self._upstream = upstream
        self._store = store
        self._claimed: dict[tuple[str, str], Generation] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._closed = False

    def find(self, claim: Claim) -> Generation | None:
        """The completion that was asked for under the same key. Raises ApiError 409 if with another body."""
        under_way = self._claimed.get((claim.key, claim.name))
        if under_way is not None:
            check_fingerprint(claim, under_way.fingerprint)
            return under_way
        kept = self._store.kept(claim, since=iso(datetime.now(UTC) - _KEPT_FOR))
        if kept is None:
            return None
        check_fingerprint(claim, kept.fingerprint)
        return Generation.stored(CompletionResponse.from_dict(json.loads(kept.value)))

    def start(self, asked: Asked, key: str, claim: Claim | None, *, stream: bool) -> Generation:
        """Ask the upstream. Raises ApiError 503 when the server is about to stop."""
        if self._closed:
            raise shutting_down()
        generation = Generation(claim.fingerprint if claim else "")
        if claim is not None:
            self._claimed[claim.key, claim.name] = generation
        task = asyncio.create_task(self._work(generation, asked, key, claim, stream=stream))
        generation.working = task
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return generation

    async def aclose(self) -> None:
        """Break off what is under way."""
        self._closed = True
        working = list(self._working)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    async def _work(self, generation: Generation, asked: Asked, key: str, claim: Claim | None, *, stream: bool) -> None:
        end: CompletionResponse | ApiError = shutting_down()
        try:
            message = await (self._streamed(generation, asked) if stream else self._whole(asked))
            end = completion(asked, message, free=self._upstream.free)
            self._keep(asked, message, end, key, claim)
        except UpstreamError as error:
            end = refusal(error, self._upstream.name)
        except Exception as error:
            log_failure(_log, "a completion", error)
            end = ApiError(500, "server_error", "The server failed while it worked on the completion.")
        finally:
            if claim is not None:
                self._claimed.pop((claim.key, claim.name), None)
            generation.end(end)

    async def _whole(self, asked: Asked) -> dict[str, Any]:
        return await self._upstream.complete(asked.request)

    async def _streamed(self, generation: Generation, asked: Asked) -> dict[str, Any]:
        assembly = Assembly()
        async with aclosing(self._upstream.stream(asked.request)) as events:
            async for event in events:
                generation.add(assembly.add(event))
        return assembly.reply()

    def _keep(
        self, asked: Asked, message: dict[str, Any], reply: CompletionResponse, key: str, claim: Claim | None
    ) -> None:
        at = now()
        used, _ = spent(asked.model, message, free=self._upstream.free)
        self._store.add_usage(key, at, reply.model, used)
        if claim is not None:
            self._store.forget(SCOPE, before=iso(datetime.now(UTC) - _KEPT_FOR))
            self._store.keep(claim, json.dumps(reply.to_dict()), at)


def check_fingerprint(claim: Claim, fingerprint: str) -> None:
    """Raises ApiError 409 unless the claim is for the same body."""
    if fingerprint != claim.fingerprint:
        raise ApiError(
            409,
            "idempotency_error",
            "This Idempotency-Key was used with another body. Use a new one for a new request.",
        )
