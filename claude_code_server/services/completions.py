"""Completions: one call of the upstream each, however many callers wait for the completion or follow it."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from claude_code_api.models import CompletionResponse

from ..domain.errors import ApiError, shutting_down
from ..domain.idempotency import IdempotencyKey
from ..domain.pricing import price_usage
from ..domain.timestamps import format_time, now
from ..runtime.error_logging import log_exception
from ..storage.store import Store
from ..upstream.protocol import Upstream, UpstreamError
from .in_flight_completion import InFlightCompletion
from .messages import MessageAssembler, MessagesRequest, to_api_error, to_completion

_log = logging.getLogger(__name__)
IDEMPOTENCY_SCOPE: Final = "completion"
_RETENTION: Final = timedelta(hours=24)
"""Time for which a repeated request gets the stored response."""


class CompletionRunner:
    """Starts completions, and finds those that a repeated request refers to."""

    def __init__(self, upstream: Upstream, store: Store) -> None:
        self._upstream = upstream
        self._store = store
        self._by_key: dict[tuple[str, str], InFlightCompletion] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def find(self, key: IdempotencyKey) -> InFlightCompletion | None:
        """Return the completion of an earlier request with ``key``. Raise ApiError 409 if its body was different."""
        in_flight = self._by_key.get((key.key_hash, key.value))
        if in_flight is not None:
            key.check_fingerprint(in_flight.fingerprint)
            return in_flight
        stored = self._store.find_response(key, since=_retention_start())
        if stored is None:
            return None
        key.check_fingerprint(stored.fingerprint)
        return InFlightCompletion.completed(CompletionResponse.from_dict(json.loads(stored.value)))

    def start(
        self, request: MessagesRequest, key_hash: str, key: IdempotencyKey | None, *, stream: bool
    ) -> InFlightCompletion:
        """Send a request to the upstream. Raise ApiError 503 while the server shuts down."""
        if self._closed:
            raise shutting_down()
        completion = InFlightCompletion(key.fingerprint if key else "")
        if key is not None:
            self._by_key[key.key_hash, key.value] = completion
        task = asyncio.create_task(self._run(completion, request, key_hash, key, stream=stream))
        completion.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return completion

    async def aclose(self) -> None:
        """Cancel completions in progress and refuse new ones."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(
        self,
        completion: InFlightCompletion,
        request: MessagesRequest,
        key_hash: str,
        key: IdempotencyKey | None,
        *,
        stream: bool,
    ) -> None:
        end: CompletionResponse | ApiError = shutting_down()
        try:
            message = await (self._stream(completion, request) if stream else self._complete(request))
            end = to_completion(request, message, free=self._upstream.free)
            self._save(request, message, end, key_hash, key)
        except UpstreamError as error:
            end = to_api_error(error, self._upstream.name)
        except Exception as error:
            log_exception(_log, "a completion", error)
            end = ApiError(500, "server_error", "The server failed while it worked on the completion.")
        finally:
            if key is not None:
                self._by_key.pop((key.key_hash, key.value), None)
            completion.finish(end)

    async def _complete(self, request: MessagesRequest) -> dict[str, Any]:
        return await self._upstream.complete(request.body)

    async def _stream(self, completion: InFlightCompletion, request: MessagesRequest) -> dict[str, Any]:
        assembler = MessageAssembler()
        async with aclosing(self._upstream.stream(request.body)) as events:
            async for event in events:
                completion.add_text(assembler.add_event(event))
        return assembler.message()

    def _save(
        self,
        request: MessagesRequest,
        message: dict[str, Any],
        response: CompletionResponse,
        key_hash: str,
        key: IdempotencyKey | None,
    ) -> None:
        at = now()
        usage = price_usage(request.model, message.get("usage") or {}, free=self._upstream.free).usage
        self._store.add_usage(key_hash, at, response.model, usage)
        if key is not None:
            self._store.delete_responses(IDEMPOTENCY_SCOPE, before=_retention_start())
            self._store.save_response(key, json.dumps(response.to_dict()), at)


def _retention_start() -> str:
    return format_time(datetime.now(UTC) - _RETENTION)
