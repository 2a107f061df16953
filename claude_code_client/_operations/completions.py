"""Completions. No I/O."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs
from claude_code_api import models as generated
from claude_code_api.api.completions import create_completion, stream_completion
from claude_code_api.models.create_completion_request import CreateCompletionRequest

from .._config import Config, merge_headers
from .._wire import legacy, responses
from .._wire.extras import Extras
from .._wire.requests import call_key, call_timeout, completion_body
from .._wire.response_headers import with_headers
from ..errors import ClaudeAPIError, NotSupportedError
from ..models import CompletionResponse, ModelInfo
from .client_state import ClientState
from .completion_events import follow_completion
from .cost import ReservedCost
from .effects import Aborted, Delivery, Emit, Operation, Request, Send

if TYPE_CHECKING:
    from .response_cache import CacheEntry


_NOTHING_RESERVED: Final = ReservedCost()


@attrs.frozen(kw_only=True, eq=False)
class CompletionRequest:
    """A completion to request, and the options of the call that requests it."""

    body: CreateCompletionRequest = attrs.field(repr=False)
    idempotency_key: str
    timeout: float
    """Seconds that the call may take."""
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Headers to add to those of the endpoint."""
    is_cacheable: bool = False
    """True if an earlier reply to an equal request will do."""

    def sent_to(self, endpoint: Any) -> Request:
        """Return the request of a generated endpoint."""
        request: Request = endpoint._get_kwargs(body=self.body, idempotency_key=self.idempotency_key)
        return {**request, "headers": {**request["headers"], **self.headers}}


def completion_request(
    config: Config,
    fields: Mapping[str, Any],
    *,
    prompt: str | None = None,
    timeout: float | None = None,
    idempotency_key: str | None = None,
    extras: Extras | None = None,
    is_cacheable: bool | None = None,
) -> CompletionRequest:
    """Return the request of a completion with these fields, named as the attributes of CreateCompletionRequest.

    None leaves a field out; ``prompt`` stands for ``messages`` with a single one. Raises InvalidRequestError or
    ConfigurationError, naming the parameter.
    """
    body = completion_body(prompt, fields)
    extras = extras or Extras()
    extras.add_to(body)
    return CompletionRequest(
        body=body,
        headers=extras.headers,
        idempotency_key=call_key(idempotency_key),
        # A key of the caller's own asks for a run of its own.
        is_cacheable=idempotency_key is None if is_cacheable is None else is_cacheable,
        timeout=call_timeout(timeout, config),
    )


def complete(request: CompletionRequest, config: Config, state: ClientState) -> Operation[CompletionResponse]:
    """Request a completion and wait for it."""
    deadline = time.monotonic() + request.timeout
    entry = _cache_entry(request, config, state)
    if entry is not None and (cached := (yield from entry.read())) is not None:
        return cached
    cost = yield from _reserve(request, config, state)
    delivery = Delivery()
    try:
        response = yield Send(
            request=request.sent_to(create_completion),
            deadline=deadline,
            delivery=delivery,
        )
        completion = responses.parse(
            create_completion, response, generated.CompletionResponse, responses.completion, adapt=legacy.completion
        )
        completion = with_headers(completion, response.headers)
    except ClaudeAPIError as error:
        cost.release_if_refused(error)
        raise
    except Aborted:
        if not delivery.sent:
            cost.release()
        raise
    cost.settle(completion.usage.cost)
    state.usage.add(completion.id, completion.usage)
    if entry is not None:
        yield from entry.write(completion)
    return completion


def stream_complete(request: CompletionRequest, config: Config, state: ClientState) -> Operation[None]:
    """Request a completion; emit its text as it is written, then the CompletionResponse."""
    deadline = time.monotonic() + request.timeout
    entry = _cache_entry(request, config, state)
    if entry is not None and (cached := (yield from entry.read())) is not None:
        if cached.content:
            yield Emit(cached.content)
        yield Emit(cached)
        return
    cost = yield from _reserve(request, config, state)
    delivery = Delivery()
    try:
        completion = yield from follow_completion(
            request.sent_to(stream_completion),
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
    state.usage.add(completion.id, completion.usage)
    if entry is not None:
        yield from entry.write(completion)
    yield Emit(completion)


def _cache_entry(request: CompletionRequest, config: Config, state: ClientState) -> CacheEntry | None:
    """Return the entry of the client's response cache that the request has; None if it has none."""
    if state.cache is None or not request.is_cacheable:
        return None
    from .response_cache import CacheEntry

    return CacheEntry(
        state.cache,
        scope=state.cache_scope or config.base_url,
        body=request.body.to_dict(),
        headers=merge_headers(config.headers, request.headers),
    )


def _reserve(request: CompletionRequest, config: Config, state: ClientState) -> Operation[ReservedCost]:
    """Reserve the maximum cost of the completion; fetch the prices first if they are not known."""
    if not state.budgets.active:
        return _NOTHING_RESERVED
    if state.models is None:
        state.models = yield from priced_models(config)
    from .._policy.pricing import max_completion_cost  # compiles regular expressions

    return ReservedCost(state.budgets.reserve(max_completion_cost(request.body, state.models)))


def priced_models(config: Config) -> Operation[list[ModelInfo]]:
    """Get the models with their prices. Raises NotSupportedError if the server states none."""
    from .account import list_models

    missing: NotSupportedError | None = None
    try:
        models = yield from list_models(config)
    except NotSupportedError as error:
        missing = error
    else:
        if models:
            return models
    raise NotSupportedError(
        "The server does not list its models with their prices, without which a budget cannot limit a completion; "
        "nothing was sent. Request completions of this server outside of the budget.",
        status_code=missing.status_code if missing else None,
        attempts=missing.attempts if missing else 0,
    )
