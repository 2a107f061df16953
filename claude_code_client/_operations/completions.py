"""Completions, as operations: which requests to send, what the answers mean. No I/O.

Each function checks its arguments when it is called, and gives a operation for a driver to carry out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import attrs
from claude_code_api import models as generated
from claude_code_api.api.completions import create_completion, stream_completion
from claude_code_api.models.create_completion_request import CreateCompletionRequest

from .._config import Config
from .._policy.budget import Reservation
from .._policy.pricing import max_completion_cost
from .._wire import legacy as _older
from .._wire import responses as convert
from .._wire.requests import call_key, call_timeout, prompt_messages, request_body
from ..errors import APIConnectionError, ClaudeAPIError, ClosedError
from ..models import CompletionResponse
from .client_state import ClientState
from .completion_events import follow_completion
from .effects import Operation, Send
from .tasks import models


@attrs.frozen(kw_only=True)
class CompletionRequest:
    """A completion to ask for: its body, its key, and the seconds that the call may take."""

    body: CreateCompletionRequest = attrs.field(repr=False)
    idempotency_key: str
    timeout: float


def completion_request(
    config: Config,
    fields: Mapping[str, Any],
    *,
    prompt: str | None = None,
    timeout: float | None = None,
    idempotency_key: str | None = None,
) -> CompletionRequest:
    """Return the request of a completion with these fields, named as the attributes of CreateCompletionRequest.

    None leaves a field out; ``prompt`` stands for ``messages`` with a single one. Raises InvalidRequestError or
    ConfigurationError, naming the parameter.
    """
    messages = prompt_messages(prompt, fields.get("messages"))
    return CompletionRequest(
        body=request_body(CreateCompletionRequest, {**fields, "messages": messages}),
        idempotency_key=call_key(idempotency_key),
        timeout=call_timeout(timeout, config),
    )


def complete(asked: CompletionRequest, config: Config, state: ClientState) -> Operation[CompletionResponse]:
    request = create_completion._get_kwargs(body=asked.body, idempotency_key=asked.idempotency_key)
    deadline = time.monotonic() + asked.timeout
    bill = yield from _bill(asked, config, state)
    try:
        response = yield Send(request=request, deadline=deadline)
        reply = convert.parse(
            create_completion, response, generated.CompletionResponse, convert.completion, adapt=_older.completion
        )
    except ClaudeAPIError as error:
        bill.failed(error)
        raise
    bill.paid(reply)
    return reply


def stream_complete(asked: CompletionRequest, config: Config, state: ClientState) -> Operation[None]:
    request = stream_completion._get_kwargs(body=asked.body, idempotency_key=asked.idempotency_key)
    deadline = time.monotonic() + asked.timeout
    bill = yield from _bill(asked, config, state)
    try:
        yield from follow_completion(
            request, deadline=deadline, read_timeout=config.stream_read_timeout, on_reply=bill.paid
        )
    except ClaudeAPIError as error:
        bill.failed(error)
        raise


@attrs.frozen
class _Bill:
    """What budgets hold for one completion."""

    reservations: list[Reservation]

    def paid(self, reply: CompletionResponse) -> None:
        self._settle(reply.usage.cost)

    def failed(self, error: ClaudeAPIError) -> None:
        refused = isinstance(error, APIConnectionError | ClosedError) or (error.status_code or 0) >= 400
        # An answer that cannot be read, or that was cut, has been paid for.
        if refused and not error.outcome_unknown:
            self._settle(0.0)

    def _settle(self, cost: float) -> None:
        for reservation in self.reservations:
            reservation.settle(cost)


def _bill(asked: CompletionRequest, config: Config, state: ClientState) -> Operation[_Bill]:
    if not state.budgets.active:
        return _Bill([])
    if state.models is None:
        state.models = yield from models(config)
    return _Bill(state.budgets.reserve(max_completion_cost(asked.body, state.models)))
