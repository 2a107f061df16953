"""Pricing: cost of model calls at list price, and what a budget pays for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from .model_catalog import find_model
from .usage import Usage, prompt_tokens

_MILLION: Final = 1_000_000
_WEB_SEARCH_USD: Final = 0.01


@attrs.frozen
class PricedUsage:
    """Usage of a model call. ``price_known`` is False for a model without a list price; its cost is then 0."""

    usage: Usage
    price_known: bool


def price_usage(model: str, counts: Mapping[str, Any], *, free: bool = False) -> PricedUsage:
    """Price a Messages ``usage``. ``free`` is for upstreams that charge nothing."""
    cost = 0.0 if free else _cost(model, counts)
    usage = Usage(prompt_tokens(counts), int(counts.get("output_tokens") or 0), cost or 0.0)
    return PricedUsage(usage, price_known=cost is not None)


def affordable_output(model: str, budget: float, prompt: int) -> int | None:
    """Return how many output tokens ``budget`` USD buy after ``prompt`` prompt tokens; None without a list price."""
    found = find_model(model)
    return None if found is None else max(0, int(budget * _MILLION / found.price_for(prompt).output))


def _cost(model: str, counts: Mapping[str, Any]) -> float | None:
    found = find_model(model)
    if found is None:
        return None
    price = found.price_for(prompt_tokens(counts))
    written = int(counts.get("cache_creation_input_tokens") or 0)
    written_1h = min(written, int((counts.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0))
    micro_usd = (
        int(counts.get("input_tokens") or 0) * price.input
        + int(counts.get("output_tokens") or 0) * price.output
        + int(counts.get("cache_read_input_tokens") or 0) * price.cache_read
        + (written - written_1h) * price.cache_write
        + written_1h * price.cache_write_1h
    )
    searches = int((counts.get("server_tool_use") or {}).get("web_search_requests") or 0)
    return micro_usd / _MILLION + searches * _WEB_SEARCH_USD
