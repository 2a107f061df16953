"""Pricing: what model calls cost at list price, the most that one may cost, and what an amount buys. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeGuard

import attrs

_MILLION: Final = 1_000_000
_MAX_COUNT: Final = 10**12
_LONG_CONTEXT_MARGIN: Final = 1.1
"""An estimated prompt counts as long when it is within a tenth of the limit, because the real one may be longer."""
_WEB_SEARCH_USD: Final = 0.01


@attrs.frozen
class Price:
    """List price in USD per million tokens."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    """Cache entries that live for five minutes."""
    cache_write_1h: float

    def prompt(self, cache_ttl: str | None) -> float:
        """Return the highest price of a prompt token, given the longest life of what is cached: None, 5m or 1h."""
        prices = [self.input, self.cache_read]
        if cache_ttl is not None:
            prices.append(self.cache_write_1h if cache_ttl == "1h" else self.cache_write)
        return max(prices)


@attrs.frozen
class ModelPrice:
    """Prices of one model."""

    base: Price
    long_context_over: int | None = None
    """Prompt tokens, cached ones included, above which ``long_context`` applies to the whole call."""
    long_context: Price | None = None
    web_search: float = _WEB_SEARCH_USD
    """USD per search of the server tool ``web_search``."""

    def for_prompt(self, tokens: int) -> Price:
        """Return the price of a call with a prompt of this size."""
        if self.long_context_over is None or tokens <= self.long_context_over:
            return self.base
        return self.long_context or self.base

    def cost(self, counts: Mapping[str, Any]) -> float:
        """Return the cost in USD of a ``usage`` object of the Messages format."""
        if self is FREE:
            return 0.0
        price = self.base if self.long_context_over is None else self.for_prompt(prompt_tokens(counts))
        written = token_count(counts, "cache_creation_input_tokens")
        by_life = counts.get("cache_creation")
        written_1h = token_count(by_life, "ephemeral_1h_input_tokens") if isinstance(by_life, Mapping) else 0
        written_1h = min(written, written_1h)
        micro_usd = (
            token_count(counts, "input_tokens") * price.input
            + token_count(counts, "output_tokens") * price.output
            + token_count(counts, "cache_read_input_tokens") * price.cache_read
            + (written - written_1h) * price.cache_write
            + written_1h * price.cache_write_1h
        )
        tools = counts.get("server_tool_use")
        searches = token_count(tools, "web_search_requests") if isinstance(tools, Mapping) else 0
        return micro_usd / _MILLION + searches * self.web_search

    def max_cost(self, prompt: int, output: int, cache_ttl: str | None = None) -> float:
        """Return the most in USD that a call with ``prompt`` (estimated) and ``output`` tokens may cost."""
        price = self._most_for(prompt)
        return (prompt * price.prompt(cache_ttl) + output * price.output) / _MILLION

    def affordable_output(self, usd: float, prompt: int, cache_ttl: str | None = None) -> float:
        """Return how many output tokens ``usd`` buys after ``prompt`` (estimated) prompt tokens; may be negative.

        The result is infinite if output is free and the prompt is affordable.
        """
        price = self._most_for(prompt)
        left = usd * _MILLION - prompt * price.prompt(cache_ttl)
        if price.output == 0:
            return float("inf") if left >= 0 else -1.0
        return left / price.output

    def _most_for(self, prompt: int) -> Price:
        long = self.for_prompt(int(prompt * _LONG_CONTEXT_MARGIN))
        return long if long.output >= self.base.output else self.base


FREE: Final = ModelPrice(Price(0.0, 0.0, 0.0, 0.0, 0.0), web_search=0.0)


def token_count(counts: Mapping[str, Any], name: str) -> int:
    """Return one count of a ``usage`` object; 0 if it is missing or no plausible number."""
    value = counts.get(name)
    return int(value) if _is_count(value) else 0


def prompt_tokens(counts: Mapping[str, Any]) -> int:
    """Return the prompt tokens of a ``usage`` object: new ones and those read from or written to the cache."""
    return (
        token_count(counts, "input_tokens")
        + token_count(counts, "cache_read_input_tokens")
        + token_count(counts, "cache_creation_input_tokens")
    )


def has_count(counts: Mapping[str, Any], name: str) -> bool:
    """Return whether a ``usage`` object reports a plausible count of this name."""
    return _is_count(counts.get(name))


def _is_count(value: object) -> TypeGuard[int | float]:
    # By the exact class: True is an instance of int, but no count.
    return (type(value) is int or type(value) is float) and 0 <= value <= _MAX_COUNT
