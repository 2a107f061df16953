"""Completions, as flows: which requests to send, what the answers mean. No I/O.

Each function checks its arguments when it is called, and gives a flow for a driver to carry out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import attrs
from claude_code_api import models as generated
from claude_code_api.api.completions import create_completion, stream_completion
from claude_code_api.models.create_completion_request import CreateCompletionRequest

from . import _convert as convert
from . import _older
from ._arguments import call_key, call_timeout, completion_request
from ._calls import models
from ._config import Config
from ._estimate import completion_bound
from ._flow import Flow, Send
from ._follow_completion import follow_completion
from ._shared import Shared
from .budget import Reservation
from .errors import APIConnectionError, ClaudeAPIError, ClosedError
from .models import CompletionResponse, Message


@attrs.frozen(kw_only=True)
class Question:
    """A completion to ask for: its body, its key, and the seconds that the call may take."""

    body: CreateCompletionRequest = attrs.field(repr=False)
    idempotency_key: str
    timeout: float


def question(
    config: Config,
    *,
    prompt: str | None,
    messages: Sequence[Message] | None,
    model: str | None,
    max_tokens: int | None,
    temperature: float | None,
    top_p: float | None,
    stop: Sequence[str] | None,
    timeout: float | None,
    idempotency_key: str | None,
) -> Question:
    """Raises InvalidRequestError, naming the argument."""
    body = completion_request(
        prompt=prompt,
        messages=messages,
        model=model,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        stop=stop,
    )
    return Question(body=body, idempotency_key=call_key(idempotency_key), timeout=call_timeout(timeout, config))


def complete(asked: Question, config: Config, shared: Shared) -> Flow[CompletionResponse]:
    request = create_completion._get_kwargs(body=asked.body, idempotency_key=asked.idempotency_key)
    deadline = time.monotonic() + asked.timeout
    bill = yield from _bill(asked, config, shared)
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


def stream_complete(asked: Question, config: Config, shared: Shared) -> Flow[None]:
    request = stream_completion._get_kwargs(body=asked.body, idempotency_key=asked.idempotency_key)
    deadline = time.monotonic() + asked.timeout
    bill = yield from _bill(asked, config, shared)
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


def _bill(asked: Question, config: Config, shared: Shared) -> Flow[_Bill]:
    if not shared.ledger.active:
        return _Bill([])
    if shared.models is None:
        shared.models = yield from models(config)
    return _Bill(shared.ledger.reserve(completion_bound(asked.body, shared.models)))
