"""Completions: one call of the upstream each, however many callers wait for the completion or follow it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final

import attrs
from claude_code_api.models import CompletionResponse

from claude_code_common.pricing import FREE

from ..domain.errors import ApiError, shutting_down, storage_unavailable
from ..domain.idempotency import IdempotencyKey, PaidCompletion
from ..domain.json_values import encode_json
from ..domain.model_catalog import Tariff
from ..domain.timestamps import now
from ..domain.usage import NO_USAGE, Usage
from ..engine.messages_request import estimate_need
from ..engine.usage_meter import ModelCall
from ..runtime.at_once import run_at_once
from ..runtime.error_logging import log_exception
from ..runtime.json_logging import is_logged, log_event
from ..storage.store import Store
from ..upstream.protocol import Upstream, UpstreamError
from .in_flight_completion import InFlightCompletion
from .key_accounts import KeyAccounts
from .messages import NO_RETRY, MessageAssembler, MessagesRequest, is_message, to_api_error, to_completion
from .metrics import Metrics

_log = logging.getLogger(__name__)
IDEMPOTENCY_SCOPE: Final = "completion"
RETENTION: Final = timedelta(hours=24)
"""Time for which a repeated request gets the stored response."""


class CompletionRunner:
    """Starts completions, and finds those that a repeated request refers to."""

    def __init__(
        self, upstream: Upstream, tariff: Tariff, store: Store, accounts: KeyAccounts, metrics: Metrics
    ) -> None:
        self._upstream = upstream
        self._accounts = accounts
        self._tariff = tariff
        self._store = store
        self._metrics = metrics
        self._by_key: dict[tuple[str, str], InFlightCompletion] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}
        """Tasks of completions in progress, with the key of each."""
        self._closed = False

    def find(self, key: IdempotencyKey) -> InFlightCompletion | None:
        """Return the completion of an earlier request with ``key``. Raise ApiError 409 if its body was different."""
        in_flight = self._by_key.get((key.owner, key.value))
        if in_flight is not None:
            key.check_fingerprint(in_flight.fingerprint)
            return in_flight
        stored = self._store.find_response(key, since=now(ago=RETENTION.total_seconds()))
        if stored is None:
            return None
        key.check_fingerprint(stored.fingerprint)
        return InFlightCompletion.completed(CompletionResponse.from_dict(json.loads(stored.value)))

    def start(
        self, request: MessagesRequest, owner: str, key: IdempotencyKey | None, *, stream: bool
    ) -> InFlightCompletion:
        """Send a request to the upstream. Raise ApiError 503 while the server shuts down."""
        if self._closed:
            raise shutting_down()
        completion = InFlightCompletion(key.fingerprint if key else "")
        if key is not None:
            self._by_key[key.owner, key.value] = completion
        run = self._run(completion, request, owner, key, stream=stream)
        if not stream and self._upstream.is_instant(request.body):
            # Nobody can leave or cancel in between: a task of its own would only cost time.
            run_at_once(run)
            return completion
        task = asyncio.create_task(run)
        completion.task = task
        self._tasks[task] = owner
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return completion

    def cancel_all_of(self, owner: str) -> None:
        """Cancel all completions of a key that are in progress."""
        for task, whose in list(self._tasks.items()):
            if whose == owner:
                task.cancel()

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
        owner: str,
        key: IdempotencyKey | None,
        *,
        stream: bool,
    ) -> None:
        end: CompletionResponse | ApiError | None = None
        usage: Usage | None = None
        encoded = None
        reserved, reservation = False, None
        model, max_tokens = request.model, request.body["max_tokens"]
        price = self._tariff.price(model)
        price_known = self._tariff.is_known(model)
        call = ModelCall(price, lambda: estimate_need(request.body, max_tokens), max_tokens)
        account, work = self._accounts.of(owner), f"completion {id(completion)}"
        try:
            most = NO_USAGE if price is FREE else call.reservation
            self._accounts.check_completion(account, most)
            reservation = self._reserve(model, most, owner)
            reserved = True
            account.hold(work, 0.0, most.cost)
            message = await (self._stream(completion, request, call) if stream else self._complete(request, call))
            call.end()
            usage = call.usage
            end = self._response(request, message, usage, price_known=price_known)
        except UpstreamError as error:
            call.end(refused=not error.may_be_billed)
            end = to_api_error(error, self._upstream.name)
        except ApiError as error:
            end = error
        except Exception as error:
            log_exception(_log, "a completion", error)
            text = "The server failed while it worked on the completion."
            end = ApiError(500, "server_error", text, headers=NO_RETRY)
        finally:
            call.end()
            end = end or shutting_down()
            if reserved:
                usage = usage or call.usage
                self._metrics.add_usage(model, usage)
                if is_logged(_log):
                    label = self._metrics.model_label(model)
                    log_event(_log, "completion ended", model=label, **attrs.asdict(usage))
                encoded = self._save(
                    end, owner, model, usage, key, reservation, durable=not (price is FREE and price_known)
                )
                account.settle(work, usage.cost)
            if key is not None:
                self._by_key.pop((key.owner, key.value), None)
            completion.finish(end, encoded)

    def _reserve(self, model: str, most: Usage, owner: str) -> int | None:
        """Store what a call may cost, so that it is charged if the server crashes. Raise ApiError 503 if it cannot be.

        Work whose result could not be stored either is not worth paying for.
        """
        try:
            return self._store.reserve(owner, now(), model, most)
        except Exception as error:
            log_exception(_log, "reserving the cost of a completion", error)
            raise storage_unavailable() from None

    async def _complete(self, request: MessagesRequest, call: ModelCall) -> dict[str, Any]:
        message = await self._upstream.complete(request.body)
        call.add_message(message)
        return message

    async def _stream(
        self, completion: InFlightCompletion, request: MessagesRequest, call: ModelCall
    ) -> dict[str, Any]:
        assembler = MessageAssembler()
        async with aclosing(self._upstream.stream(request.body)) as events:
            async for event in events:
                call.add_event(event)
                completion.add_text(assembler.add_event(event))
        return assembler.message()

    def _response(
        self, request: MessagesRequest, message: Mapping[str, Any], usage: Usage, *, price_known: bool
    ) -> CompletionResponse | ApiError:
        """Return the completion for a Messages response, or an error if the response has an odd shape."""
        if not is_message(message):
            text = f"The upstream {self._upstream.name} failed: its response is not a message."
            return ApiError(502, "server_error", text, headers=NO_RETRY)
        return to_completion(request, message, usage, price_known=price_known)

    def _save(
        self,
        end: CompletionResponse | ApiError,
        owner: str,
        model: str,
        usage: Usage,
        key: IdempotencyKey | None,
        reservation: int | None,
        *,
        durable: bool,
    ) -> bytes | None:
        """Store the usage, and with it the response under its idempotency key; later if it is not possible now.

        Return the response as JSON.
        """
        encoded, response = None, ""
        if isinstance(end, CompletionResponse):
            # SQLite stores valid Unicode only.
            model = end.model.encode(errors="replace").decode()
            encoded = encode_json(end.to_dict())
            response = encoded.decode()
        else:
            # The same request may succeed later.
            key = None
            usage = usage if usage.cost > 0 else NO_USAGE
        try:
            self._store.save_completion(
                PaidCompletion(owner, now(), model, usage, key, response, reservation, durable=durable)
            )
        except Exception as error:
            # What the model was paid for must reach the caller, who would otherwise buy it again.
            log_exception(_log, "storing a completion", error)
        return encoded
