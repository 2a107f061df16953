"""Model catalog: aliases, list prices and limits of the known models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

_MILLION: Final = 1_000_000
_DATE_SUFFIX: Final = re.compile(r"-\d{8}$")


@attrs.frozen
class Price:
    """List price in USD per million tokens."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    """Cache entries that live for five minutes."""
    cache_write_1h: float


@attrs.frozen(kw_only=True)
class Model:
    """A model that the catalog knows."""

    id: str
    alias: str
    display_name: str
    price: Price
    context_window: int
    """Tokens."""
    max_output_tokens: int
    long_context_over: int | None = None
    """Prompt tokens, cached ones included, above which ``long_context_price`` applies to the whole call."""
    long_context_price: Price | None = None
    accepts_sampling: bool = False
    """True if the model accepts ``temperature`` and ``top_p``."""

    def price_for(self, prompt_tokens: int) -> Price:
        """Return the price of a call with a prompt of this size."""
        if self.long_context_over is None or prompt_tokens <= self.long_context_over:
            return self.price
        return self.long_context_price or self.price


MODELS: Final[tuple[Model, ...]] = (
    Model(
        id="claude-haiku-5-5",
        alias="haiku",
        display_name="Claude Haiku 5.5",
        price=Price(0.10, 0.50, 0.01, 0.125, 0.20),
        context_window=_MILLION,
        max_output_tokens=128_000,
        long_context_over=100_000,
        long_context_price=Price(0.50, 2.50, 0.05, 0.625, 1.00),
    ),
    Model(
        id="claude-sonnet-5-5",
        alias="sonnet",
        display_name="Claude Sonnet 5.5",
        price=Price(2.00, 10.00, 0.10, 2.50, 4.00),
        context_window=_MILLION,
        max_output_tokens=128_000,
    ),
    Model(
        id="claude-opus-5-5",
        alias="opus",
        display_name="Claude Opus 5.5",
        price=Price(4.00, 20.00, 0.20, 5.00, 8.00),
        context_window=_MILLION,
        max_output_tokens=128_000,
    ),
)

DEFAULT_MODEL: Final = "sonnet"
"""Alias of the model for requests that name none."""

_BY_NAME: Final[Mapping[str, Model]] = {name: model for model in MODELS for name in (model.alias, model.id)}


def find_model(name: str) -> Model | None:
    """Look a model up by alias, ID or dated ID (``…-20260115``)."""
    return _BY_NAME.get(name) or _BY_NAME.get(_DATE_SUFFIX.sub("", name))


def resolve_model(name: str | None, default: str = DEFAULT_MODEL) -> str:
    """Return the model ID for an alias or ID. A name that the catalog does not know counts as an ID."""
    wanted = name or default
    return _BY_NAME[wanted].id if wanted in _BY_NAME else wanted


def without_unsupported_parameters(request: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Remove the parameters that the model of a Messages request rejects; return a warning for each."""
    model = find_model(str(request.get("model", "")))
    kept = dict(request)
    if model is None or model.accepts_sampling:
        return kept, ()
    removed = [name for name in ("temperature", "top_p") if kept.pop(name, None) is not None]
    return kept, tuple(f"{model.id} does not support {name}; it was not sent." for name in removed)
