"""Fields of a request body that the contract does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

_MAX_NAMES: Final = 10
_MAX_NAME_LENGTH: Final = 60
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_MAX_ITEMS: Final = 1000
"""Number of items of each array that are searched: a large body must not block other requests."""


def unknown_fields(schema: Mapping[str, Any], value: Any) -> list[str]:
    """Return the paths of the first ten fields in ``value`` that ``schema``, without references, does not describe.

    Objects with free-form fields have no unknown ones.
    """
    return [] if _knows_all(schema, value) else list(islice(_find(schema, value, ""), _MAX_NAMES))


def _knows_all(schema: Mapping[str, Any], value: Any) -> bool:
    """Return whether ``_find`` yields nothing, without making the paths."""
    if isinstance(value, dict):
        properties = schema.get("properties")
        if properties is not None and not schema.get("additionalProperties"):
            for name, item in value.items():
                below = properties.get(name)
                if below is None or not (item.__class__ in _PLAIN or _knows_all(below, item)):
                    return False
    elif isinstance(value, list) and (below := schema.get("items")) is not None:
        return all(_knows_all(below, item) for item in value[:_MAX_ITEMS])
    return True


def _find(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    properties = schema.get("properties")
    if isinstance(value, dict) and properties is not None and not schema.get("additionalProperties"):
        for name, item in value.items():
            below = f"{path}.{_shorten(name)}" if path else _shorten(name)
            if name in properties:
                yield from _find(properties[name], item, below)
            else:
                yield below
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value[:_MAX_ITEMS]):
            yield from _find(schema["items"], item, f"{path}[{index}]")


def _shorten(name: str) -> str:
    return name if len(name) <= _MAX_NAME_LENGTH else f"{name[:_MAX_NAME_LENGTH]}…"
