"""Items of a batch: what a caller passes, as the parameters of one call. No I/O."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol

import attrs

from ...errors import InvalidRequestError


class DataclassItem(Protocol):
    """Dataclass whose fields are named as the parameters of the call."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@attrs.frozen(kw_only=True)
class Item:
    """One item, ready to be sent."""

    index: int
    custom_id: str
    source: object = attrs.field(repr=False)
    """The item, as the caller passed it."""
    parameters: dict[str, Any] = attrs.field(repr=False)
    """Parameters of the call."""
    idempotency_key: str
    is_cacheable: bool = False
    """True if the client's response cache will do: the item has no idempotency key of its own."""


# json.dumps() would make an encoder for each item.
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str, skipkeys=True)
_TEXT_PARAMETER: Final = {"map_completions": "prompt", "map_tasks": "description"}


@attrs.frozen(kw_only=True)
class ItemReader:
    """Reader of the items of one batch."""

    method: str
    """``map_completions`` or ``map_tasks``."""
    shared: Mapping[str, Any] = attrs.field(repr=False)
    """Parameters of all items; those of an item win."""
    known: frozenset[str]
    """Names of the parameters that an item may have."""
    batch_id: str

    def read(self, index: int, source: object) -> Item:
        """Return the item. Raises InvalidRequestError."""
        own = self._parameters(source)
        custom_id = own.pop("custom_id", None)
        if custom_id is not None and not isinstance(custom_id, str):
            raise InvalidRequestError("custom_id must be a str.", param="custom_id")
        if not own.keys() <= self.known:
            unknown = next(name for name in own if name not in self.known)
            raise InvalidRequestError(f"Items of {self.method}() have no parameter {unknown!r}.", param=str(unknown))
        parameters = {**self.shared, **own}
        key = parameters.pop("idempotency_key", None)
        return Item(
            index=index,
            custom_id=str(index) if custom_id is None else custom_id,
            source=source,
            parameters=parameters,
            idempotency_key=self._key(index, parameters) if key is None else key,
            is_cacheable=key is None,
        )

    def _parameters(self, source: object) -> dict[str, Any]:
        if isinstance(source, str):
            return {_TEXT_PARAMETER[self.method]: source}
        if isinstance(source, Mapping):
            fields = dict(source)
        elif dataclasses.is_dataclass(source) and not isinstance(source, type):
            # Not asdict(), which copies all that the fields hold.
            fields = {field.name: getattr(source, field.name) for field in dataclasses.fields(source)}
        elif attrs.has(cls := type(source)):
            fields = {field.name: getattr(source, field.name) for field in attrs.fields(cls)}
        else:
            raise InvalidRequestError(
                f"An item must be a str, a dict or a dataclass, not {type(source).__name__}.", param="items"
            )
        return {name: value for name, value in fields.items() if value is not None}

    def _key(self, index: int, parameters: Mapping[str, Any]) -> str:
        """Return the idempotency key: the same for the same item at the same place of the same batch, and no other."""
        facts = "\0".join((self.batch_id, self.method, str(index), _CANONICAL.encode(parameters)))
        return f"batch-{hashlib.sha256(facts.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"
