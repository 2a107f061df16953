"""Most that a completion may cost, from the prices in ``list_models``. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from claude_code_api.models.create_completion_request import CreateCompletionRequest

from claude_code_common.pricing import ModelPrice, Price
from claude_code_common.token_estimate import estimate_tokens

from ..models import ModelInfo

_OVERHEAD_TOKENS: Final = 1000
"""Tokens that a server may add to a prompt."""
_TOKENS_PER_MESSAGE: Final = 8


def max_completion_cost(body: CreateCompletionRequest, models: Sequence[ModelInfo]) -> float:
    """Return the most that a completion may cost, in USD.

    The prompt is estimated, rather too high than too low; a reply is no longer than the model allows. If the server
    does not list the requested model, the most expensive one counts.
    """
    name = body.model if isinstance(body.model, str) else None
    requested = [model for model in models if (model.default if name is None else name in (model.id, model.alias))]
    prompt = estimate_tokens("\n".join(message.content for message in body.messages))
    prompt += _OVERHEAD_TOKENS + _TOKENS_PER_MESSAGE * len(body.messages)
    return max((_max_cost(prompt, body, model) for model in requested or models), default=0.0)


def _max_cost(prompt: int, body: CreateCompletionRequest, model: ModelInfo) -> float:
    limit = body.max_tokens
    reply = min(limit, model.max_output_tokens) if isinstance(limit, int) else model.max_output_tokens
    return _price(model).max_cost(prompt, reply)


def _price(model: ModelInfo) -> ModelPrice:
    base = _uncached(model.input_price, model.output_price)
    long_input, long_output = model.long_context_input_price, model.long_context_output_price
    if model.long_context_over is None or long_input is None or long_output is None:
        return ModelPrice(base)
    return ModelPrice(base, model.long_context_over, _uncached(long_input, long_output))


def _uncached(input_price: float, output_price: float) -> Price:
    """Return the prices of a call without prompt caching, as completions are."""
    return Price(input_price, output_price, input_price, input_price, input_price)
