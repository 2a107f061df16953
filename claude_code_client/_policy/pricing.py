"""What a call may cost at most, from the prices that ``list_models`` tells. No I/O."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from claude_code_api.models.create_completion_request import CreateCompletionRequest

from ..models import ModelInfo

_OVERHEAD: Final = 1000
"""Tokens; what a server may add to a prompt."""


def completion_bound(body: CreateCompletionRequest, models: Sequence[ModelInfo]) -> float:
    """USD that a completion may cost at most.

    A token has at least one byte, and no reply is longer than the model allows. A model that the server does not list
    is taken for its dearest.
    """
    named = body.model if isinstance(body.model, str) else None
    meant = [model for model in models if (model.default if named is None else named in (model.id, model.alias))]
    prompt_tokens = len(json.dumps([message.to_dict() for message in body.messages], ensure_ascii=False).encode())
    return max((_bound(prompt_tokens + _OVERHEAD, body, model) for model in meant or models), default=0.0)


def _bound(prompt_tokens: int, body: CreateCompletionRequest, model: ModelInfo) -> float:
    asked = body.max_tokens
    reply_tokens = min(asked, model.max_output_tokens) if isinstance(asked, int) else model.max_output_tokens
    return (prompt_tokens * model.input_price + reply_tokens * model.output_price) / 1e6
