"""The models that are known by name: aliases, prices, limits. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

_MILLION = 1_000_000
_DATED = re.compile(r"-\d{8}$")
_WEB_SEARCH_USD = 0.01


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    """Kept for five minutes."""
    cache_write_1h: float


@dataclass(frozen=True, slots=True)
class Model:
    id: str
    alias: str
    display_name: str
    price: Price
    context_window: int
    """Tokens."""
    max_output_tokens: int
    long_context_over: int | None = None
    """Prompt tokens, cached ones included, above which the whole call costs ``long_context_price``."""
    long_context_price: Price | None = None
    takes_sampling: bool = False
    """Whether ``temperature`` and ``top_p`` may be sent."""

    def price_for(self, prompt_tokens: int) -> Price:
        if self.long_context_over is None or prompt_tokens <= self.long_context_over:
            return self.price
        return self.long_context_price or self.price


class Cost(NamedTuple):
    usd: float
    known: bool
    """False when the model has no price here; ``usd`` is then 0."""


MODELS: tuple[Model, ...] = (
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

DEFAULT = "sonnet"
"""The alias that stands in when nobody names a model."""

_BY_NAME: Mapping[str, Model] = {name: model for model in MODELS for name in (model.alias, model.id)}


def find(name: str) -> Model | None:
    """The model of an alias or id; a dated id (``…-20260115``) is the same model."""
    return _BY_NAME.get(name) or _BY_NAME.get(_DATED.sub("", name))


def resolve(name: str | None, default: str = DEFAULT) -> str:
    """The model id to ask for. An alias becomes its id; any other name is taken to be an id already."""
    wanted = name or default
    return _BY_NAME[wanted].id if wanted in _BY_NAME else wanted


def prompt_tokens(usage: Mapping[str, Any]) -> int:
    """Prompt tokens in a Messages ``usage``: fresh ones, and those read from or written to the cache."""
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(int(usage.get(name) or 0) for name in names)


def cost(model: str, usage: Mapping[str, Any]) -> Cost:
    """What a Messages ``usage`` costs at the model's list price."""
    found = find(model)
    if found is None:
        return Cost(0.0, known=False)
    price = found.price_for(prompt_tokens(usage))
    written = int(usage.get("cache_creation_input_tokens") or 0)
    written_1h = min(written, int((usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0))
    micro_usd = (
        int(usage.get("input_tokens") or 0) * price.input
        + int(usage.get("output_tokens") or 0) * price.output
        + int(usage.get("cache_read_input_tokens") or 0) * price.cache_read
        + (written - written_1h) * price.cache_write
        + written_1h * price.cache_write_1h
    )
    searches = int((usage.get("server_tool_use") or {}).get("web_search_requests") or 0)
    return Cost(micro_usd / _MILLION + searches * _WEB_SEARCH_USD, known=True)


def affordable_output(model: str, usd: float, prompt: int) -> int | None:
    """How many output tokens ``usd`` pays for after ``prompt`` prompt tokens; None if no price is known."""
    found = find(model)
    return None if found is None else max(0, int(usd * _MILLION / found.price_for(prompt).output))


def without_refused(request: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A Messages request less the parameters its model refuses, and a warning for each one taken out."""
    model = find(str(request.get("model", "")))
    kept = dict(request)
    if model is None or model.takes_sampling:
        return kept, ()
    refused = [name for name in ("temperature", "top_p") if kept.pop(name, None) is not None]
    return kept, tuple(f"{model.id} does not take {name}; it was not sent." for name in refused)
