"""Upper bound on the cost of a completion, from the prices in ``list_models``. No I/O."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from claude_code_api.models.create_completion_request import CreateCompletionRequest

from ..models import ModelInfo

_OVERHEAD_TOKENS: Final = 1000
"""Tokens that a server may add to a prompt."""
_TOKENS_PER_PRICE: Final = 1e6
"""Prices are in USD per million tokens."""


def max_completion_cost(body: CreateCompletionRequest, models: Sequence[ModelInfo]) -> float:
    """Return the most that a completion may cost, in USD.

    A token has at least one byte, and a reply is no longer than the model allows. If the server does not list the
    requested model, the most expensive one counts.
    """
    name = body.model if isinstance(body.model, str) else None
    requested = [model for model in models if (model.default if name is None else name in (model.id, model.alias))]
    messages = json.dumps([message.to_dict() for message in body.messages], ensure_ascii=False)
    prompt_tokens = len(messages.encode()) + _OVERHEAD_TOKENS
    return max((_max_cost(prompt_tokens, body, model) for model in requested or models), default=0.0)


def _max_cost(prompt_tokens: int, body: CreateCompletionRequest, model: ModelInfo) -> float:
    limit = body.max_tokens
    reply_tokens = min(limit, model.max_output_tokens) if isinstance(limit, int) else model.max_output_tokens
    return (prompt_tokens * model.input_price + reply_tokens * model.output_price) / _TOKENS_PER_PRICE
