"""Model catalog: aliases, list prices and limits of the models that a server knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import attrs

from claude_code_common.pricing import FREE, ModelPrice, Price

_MILLION: Final = 1_000_000
_DATE_SUFFIX: Final = re.compile(r"-\d{8}$")
_CLAUDE: Final = "claude"


@attrs.frozen(kw_only=True)
class Model:
    """A model that the catalog knows."""

    id: str
    alias: str | None = None
    price: ModelPrice
    context_window: int
    """Tokens."""
    max_output_tokens: int
    accepts_sampling: bool = False
    """True if the model accepts ``temperature`` and ``top_p``."""


MODELS: Final[tuple[Model, ...]] = (
    Model(
        id="claude-haiku-5-5",
        alias="haiku",
        price=ModelPrice(Price(0.10, 0.50, 0.01, 0.125, 0.20), 100_000, Price(0.50, 2.50, 0.05, 0.625, 1.00)),
        context_window=_MILLION,
        max_output_tokens=128_000,
    ),
    Model(
        id="claude-sonnet-5-5",
        alias="sonnet",
        price=ModelPrice(Price(2.00, 10.00, 0.10, 2.50, 4.00)),
        context_window=_MILLION,
        max_output_tokens=128_000,
    ),
    Model(
        id="claude-opus-5-5",
        alias="opus",
        price=ModelPrice(Price(4.00, 20.00, 0.20, 5.00, 8.00)),
        context_window=_MILLION,
        max_output_tokens=128_000,
    ),
)

DEFAULT_MODEL: Final = "sonnet"
"""Alias of the model for requests that name none."""
SMALL_MODEL: Final = "claude-haiku-5-5"
"""Model that Claude Code uses for minor work beside a model of ``MODELS``."""


class UnknownModelError(ValueError):
    """No price is known for a model. The message is for the caller, and names the models with a price."""


@attrs.frozen
class ModelCatalog:
    """Models of one server. Models with a price file's names replace or extend the built-in ones."""

    models: tuple[Model, ...] = MODELS
    any_other: Model | None = None
    """Price and limits of every other model; None if other models have no known price."""
    _by_name: Mapping[str | None, Model] = attrs.field(init=False, repr=False, eq=False)

    @_by_name.default
    def _index(self) -> Mapping[str | None, Model]:
        # Of two models with one name, the first counts.
        return {name: model for model in reversed(self.models) for name in (model.alias, model.id)}

    def find(self, name: str) -> Model | None:
        """Look a model up by alias, ID or dated ID (``…-20260115``)."""
        return self._named(name) or self._named(_DATE_SUFFIX.sub("", name)) or self.any_other

    def resolve(self, name: str | None, default: str | None = None) -> str:
        """Return the model ID for an alias or ID. A name that the catalog does not know counts as an ID."""
        wanted = name or default or DEFAULT_MODEL
        found = self._named(wanted)
        return found.id if found is not None else wanted

    def small_model(self, model: str) -> str:
        """Return the model that Claude Code uses for minor work in a task with ``model``."""
        found = self._named(model) or self._named(_DATE_SUFFIX.sub("", model))
        return SMALL_MODEL if found in MODELS and self._named(SMALL_MODEL) is not None else model

    def same_model(self, name: str, other: str) -> bool:
        """Return whether two names mean one model."""
        found = self._named(name) or self._named(_DATE_SUFFIX.sub("", name))
        return name == other or (found is not None and found.id == self.resolve(_DATE_SUFFIX.sub("", other)))

    def names_of(self, model: str) -> frozenset[str]:
        """Return the names that mean a model: its own, that without its date, its alias and its ID."""
        undated = _DATE_SUFFIX.sub("", model)
        found = self._named(model) or self._named(undated)
        names = (model, undated) if found is None else (model, undated, found.id, found.alias)
        return frozenset(name for name in names if name)

    def names(self) -> str:
        """Return the names of the models, for error messages."""
        return ", ".join(f"{model.alias} ({model.id})" if model.alias else model.id for model in self.models)

    def without_unsupported_parameters(self, request: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Remove the parameters that the model of a Messages request rejects; return a warning for each."""
        model = self.find(str(request.get("model", "")))
        kept = dict(request)
        if model is None or model.accepts_sampling:
            return kept, ()
        removed = [name for name in ("temperature", "top_p") if kept.pop(name, None) is not None]
        return kept, tuple(f"{model.id} does not support {name}; it was not sent." for name in removed)

    def _named(self, name: str) -> Model | None:
        return self._by_name.get(name)


class PricedSource(Protocol):
    """Upstream, as far as its prices go."""

    @property
    def free(self) -> bool:
        """True if it charges nothing, whatever the model."""
        ...

    @property
    def local(self) -> bool:
        """True if it is on this machine."""
        ...


@attrs.frozen
class Tariff:
    """Prices of a server's upstream, by model."""

    catalog: ModelCatalog
    free: bool = False
    """True if the upstream charges nothing, whatever the model."""
    local: bool = False
    """True if the upstream is on this machine. Unknown models cost nothing there, unless they are Claude's."""

    find_source: Callable[[str], PricedSource | None] | None = None
    """Function that returns the upstream of a model, if there are several."""

    def serves(self, model: str) -> bool:
        """Return whether there is an upstream for a model."""
        return self._source(model) is not None

    def small_model(self, model: str) -> str:
        """Return the model that Claude Code uses for minor work in a task with ``model``."""
        small = self.catalog.small_model(model)
        return small if self.serves(small) else model

    def price(self, model: str) -> ModelPrice:
        """Return the prices of a model. Raise UnknownModelError if they are not known, or nothing serves it."""
        source = self._source(model)
        if source is None:
            served = ", ".join(known.alias or known.id for known in self.catalog.models if self.serves(known.id))
            raise UnknownModelError(
                f"No upstream of this server serves the model {model[:100]!r}. Known models that are served:"
                f" {served or 'none'}."
            )
        if source.free:
            return FREE
        found = self.catalog.find(model)
        if found is not None:
            return found.price
        if source.local and _CLAUDE not in model.lower():
            return FREE
        raise UnknownModelError(
            f"No price is known for the model {model[:100]!r}. Models with a price: {self.catalog.names()}. "
            "The server can be started with the prices of others (--prices FILE)."
        )

    def is_known(self, model: str) -> bool:
        """Return whether the cost of a model is known: that it is free counts, that it is assumed to be does not."""
        source = self._source(model)
        return (source is not None and source.free) or self.catalog.find(model) is not None

    def _source(self, model: str) -> PricedSource | None:
        return self if self.find_source is None else self.find_source(model)
