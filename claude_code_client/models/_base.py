"""Base of the value objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs

NOT_IN_BODY: Final = {"body": False}
"""Metadata of fields that are not in the response's body: they are not compared, and not in ``to_dict()``."""


def _to_json(value: Any) -> Any:
    """Return a copy of ``value`` made of JSON types only."""
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if isinstance(value, dict):
        return {name: _to_json(item) for name, item in value.items()}
    return value


@attrs.frozen(kw_only=True, repr=False)
class Model:
    """Value object with the response fields that it has no attribute for."""

    extra: dict[str, Any] = attrs.field(factory=dict)
    """Response fields that this class has no attribute for, by their JSON names, as JSON types."""

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, those in ``extra`` included, as JSON types. The caller may change the result."""
        return {**_to_json(self.extra), **{name: _to_json(value) for name, value in self._body_fields()}}

    def _body_fields(self) -> Iterator[tuple[str, object]]:
        for field in attrs.fields(type(self)):
            if field.name != "extra" and not field.metadata:
                yield field.name, getattr(self, field.name)

    def _repr_fields(self) -> Iterator[tuple[str, object]]:
        return self._body_fields()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._repr_fields())})"
