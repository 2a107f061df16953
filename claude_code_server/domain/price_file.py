"""Price file of a server: prices of models that the catalog does not know, in TOML or JSON. No I/O."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from typing import Any, Final

import attrs

from claude_code_common.pricing import ModelPrice, Price

from .model_catalog import MODELS, Model, ModelCatalog

_ANY_OTHER: Final = "*"
_CONTEXT_WINDOW: Final = 200_000
_MAX_OUTPUT: Final = 32_000
_CACHE_READ, _CACHE_WRITE, _CACHE_WRITE_1H = 0.1, 1.25, 2.0
"""Prices of cached prompt tokens as multiples of the input price, for files that do not state them."""
_PRICES: Final = ("input_price", "output_price", "cache_read_price", "cache_write_price", "cache_write_1h_price")
_LONG_PRICES: Final = ("long_context_input_price", "long_context_output_price")
_COUNTS: Final = ("context_window", "max_output_tokens", "long_context_over")
_FIELDS: Final = {*_PRICES, *_LONG_PRICES, *_COUNTS, "alias"}


def parse_price_file(text: str) -> ModelCatalog:
    """Return the catalog with the models of a price file added. Raise ValueError with the reason."""
    try:
        data = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"neither TOML nor JSON: {error}") from None
    entries = data.get("models")
    if not isinstance(entries, Mapping) or set(data) != {"models"}:
        raise ValueError('the file must contain "models", an object with an entry per model ID, and nothing else')
    added = {name: _model(name, fields) for name, fields in entries.items()}
    any_other = added.pop(_ANY_OTHER, None)
    names = {name for model in added.values() for name in (model.id, model.alias)}
    kept = tuple(
        attrs.evolve(model, alias=None) if model.alias in names else model for model in MODELS if model.id not in names
    )
    return ModelCatalog((*kept, *added.values()), any_other)


def _model(name: str, fields: Any) -> Model:
    if not isinstance(fields, Mapping):
        raise ValueError(f"models.{name} must be an object")  # noqa: TRY004 (the file is wrong, not the code)
    if unknown := sorted(set(fields) - _FIELDS):
        raise ValueError(f"models.{name}: unknown field {unknown[0]!r}; known: {', '.join(sorted(_FIELDS))}")
    alias = fields.get("alias")
    if alias is not None and not isinstance(alias, str):
        raise ValueError(f"models.{name}.alias must be text")
    prices = {key: _number(name, fields, key) for key in (*_PRICES, *_LONG_PRICES) if key in fields}
    counts = {key: _count(name, fields, key) for key in _COUNTS if key in fields}
    for key in _PRICES[:2]:
        if key not in prices:
            raise ValueError(f"models.{name}.{key} is missing: a price in USD per million tokens")
    base = _price(prices)
    over = counts.get("long_context_over")
    if (over is None) != (_LONG_PRICES[0] not in prices) or (over is None) != (_LONG_PRICES[1] not in prices):
        raise ValueError(f"models.{name}: long_context_over, {' and '.join(_LONG_PRICES)} belong together")
    long = None
    if over is not None:
        factor = prices[_LONG_PRICES[0]] / base.input if base.input else 1.0
        long = Price(
            prices[_LONG_PRICES[0]],
            prices[_LONG_PRICES[1]],
            base.cache_read * factor,
            base.cache_write * factor,
            base.cache_write_1h * factor,
        )
    return Model(
        id=name,
        alias=alias,
        price=ModelPrice(base, over, long),
        context_window=counts.get("context_window", _CONTEXT_WINDOW),
        max_output_tokens=counts.get("max_output_tokens", _MAX_OUTPUT),
        accepts_sampling=True,
    )


def _price(prices: Mapping[str, float]) -> Price:
    given = prices["input_price"]
    return Price(
        given,
        prices["output_price"],
        prices.get("cache_read_price", given * _CACHE_READ),
        prices.get("cache_write_price", given * _CACHE_WRITE),
        prices.get("cache_write_1h_price", given * _CACHE_WRITE_1H),
    )


def _number(name: str, fields: Mapping[str, Any], key: str) -> float:
    value = fields[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"models.{name}.{key} must be a number of at least 0")
    return float(value)


def _count(name: str, fields: Mapping[str, Any], key: str) -> int:
    value = fields[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"models.{name}.{key} must be a whole number of at least 1")
    return value
