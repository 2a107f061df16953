"""Pricing: cost of model calls at list price, and how much of a budget one call may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from claude_code_common.pricing import ModelPrice, prompt_tokens, token_count

from .usage import Usage

_USUAL_OUTPUT: Final = 8_000
"""Output tokens that a call gets if the budget can pay for them at all."""
_LEAST_OUTPUT: Final = 32
"""Fewer output tokens are of no use."""


def price_usage(price: ModelPrice, counts: Mapping[str, Any]) -> Usage:
    """Price a ``usage`` object of the Messages format."""
    return Usage(prompt_tokens(counts), token_count(counts, "output_tokens"), price.cost(counts))


@attrs.frozen
class Need:
    """Most that a model call may use."""

    prompt: int
    """Tokens, estimated."""
    output: int
    """Tokens, as requested."""
    cache_ttl: str | None = None
    """Longest life of what the call writes to the prompt cache: None, ``5m`` or ``1h``."""
    searches: int = 0
    """Web searches."""

    def max_cost(self, price: ModelPrice, output: int) -> float:
        """Return the most in USD that the call may cost with ``output`` tokens."""
        return self.searches * price.web_search + price.max_cost(self.prompt, output, self.cache_ttl)


def grant_output(price: ModelPrice, left: float, need: Need, *, alone: bool) -> int:
    """Return the output tokens that a call may have when ``left`` USD are not reserved; 0 if it must not be made now.

    Claude Code requests the longest reply every time. So that calls can run side by side, one takes half of what is
    left at most, or what a usual reply costs. Unless the call is ``alone``, it should rather wait than get less.
    """

    def affordable(usd: float) -> int:
        tokens = price.affordable_output(usd - need.searches * price.web_search, need.prompt, need.cache_ttl)
        return int(max(0.0, min(need.output, tokens)))

    usual = min(need.output, _USUAL_OUTPUT)
    granted = max(affordable(left / 2), min(affordable(left), usual))
    enough = min(need.output, _LEAST_OUTPUT) if alone else usual
    return granted if granted >= enough else 0
