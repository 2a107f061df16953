"""Completions. No I/O."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import attrs
from claude_code_api import models as generated
from claude_code_api.api.completions import create_completion, stream_completion
from claude_code_api.models.create_completion_request import CreateCompletionRequest

from .._config import Config
from .._wire import legacy, responses
from .._wire.requests import call_key, call_timeout, prompt_messages, request_body
from ..errors import ClaudeAPIError
from ..models import CompletionResponse
from .client_state import ClientState
from .completion_events import follow_completion
from .cost import ReservedCost
from .effects import Aborted, Delivery, Emit, Operation, Send


@attrs.frozen(kw_only=True)
class CompletionRequest:
    """A completion to request, and the options of the call that requests it."""

    body: CreateCompletionRequest = attrs.field(repr=False)
    idempotency_key: str
    timeout: float
    """Seconds that the call may take."""


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


def complete(request: CompletionRequest, config: Config, state: ClientState) -> Operation[CompletionResponse]:
    """Request a completion and wait for it."""
    deadline = time.monotonic() + request.timeout
    cost = yield from _reserve(request, config, state)
    delivery = Delivery()
    try:
        response = yield Send(
            request=create_completion._get_kwargs(body=request.body, idempotency_key=request.idempotency_key),
            deadline=deadline,
            delivery=delivery,
        )
        completion = responses.parse(
            create_completion, response, generated.CompletionResponse, responses.completion, adapt=legacy.completion
        )
    except ClaudeAPIError as error:
        cost.release_if_refused(error)
        raise
    except Aborted:
        if not delivery.sent:
            cost.release()
        raise
    cost.settle(completion.usage.cost)
    return completion


def stream_complete(request: CompletionRequest, config: Config, state: ClientState) -> Operation[None]:
    """Request a completion; emit its text as it is written, then the CompletionResponse."""
    deadline = time.monotonic() + request.timeout
    cost = yield from _reserve(request, config, state)
    delivery = Delivery()
    try:
        completion = yield from follow_completion(
            stream_completion._get_kwargs(body=request.body, idempotency_key=request.idempotency_key),
            deadline=deadline,
            read_timeout=config.stream_read_timeout,
            delivery=delivery,
        )
    except ClaudeAPIError as error:
        cost.release_if_refused(error)
        raise
    except Aborted:
        if not delivery.sent:
            cost.release()
        raise
    # Settle before the caller receives it, and may leave.
    cost.settle(completion.usage.cost)
    yield Emit(completion)


def _reserve(request: CompletionRequest, config: Config, state: ClientState) -> Operation[ReservedCost]:
    """Reserve the maximum cost of the completion; fetch the prices first if they are not known."""
    if not state.budgets.active:
        return ReservedCost()
    if state.models is None:
        from .account import list_models

        state.models = yield from list_models(config)
    from .._policy.pricing import max_completion_cost  # compiles regular expressions

    return ReservedCost(state.budgets.reserve(max_completion_cost(request.body, state.models)))
