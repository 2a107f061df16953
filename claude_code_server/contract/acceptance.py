"""Quick acceptance of valid values, as plain functions made from their schemas.

An acceptor knows the common keywords only. It returns True for nothing that jsonschema would reject; what it does not
accept may still be valid, so jsonschema decides that, and says what is wrong with it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Acceptor = Callable[[Any], bool]

_ANNOTATIONS: Final = frozenset({"description", "title"})
_KEYWORDS: Final = frozenset(
    {"type", "enum", "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    | {"items", "minItems", "maxItems", "properties", "required"}
)


def acceptor(schema: Mapping[str, Any]) -> Acceptor:
    """Return a function that returns True for valid values, but not for all of them."""
    names = {name for name in schema if name not in _ANNOTATIONS and not name.startswith("x-")}
    types = schema.get("type")
    if types is None or not names <= _KEYWORDS:
        return _undecided
    by_kind: dict[type, Acceptor] = {}
    for name in [types] if isinstance(types, str) else types:
        by_kind.update(_acceptors(name, schema))
    # By the exact class: True is an instance of int, but no number.
    return lambda value: by_kind.get(type(value), _undecided)(value)


def _undecided(_: Any) -> bool:
    return False


def _acceptors(name: str, schema: Mapping[str, Any]) -> dict[type, Acceptor]:
    """Return the acceptors of one JSON type, by the classes of its values."""
    if name == "string":
        return {str: _string(schema)}
    if "enum" in schema:
        return {}
    match name:
        case "integer":
            return {int: _number(schema)}
        case "number":
            return dict.fromkeys((int, float), _number(schema))
        case "array":
            return {list: _array(schema)}
        case "object":
            return {dict: _object(schema)}
        case "boolean":
            return {bool: lambda _: True}
        case "null":
            return {type(None): lambda _: True}
        case _:
            return {}


def _string(schema: Mapping[str, Any]) -> Acceptor:
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    pattern = re.compile(schema["pattern"]).search if "pattern" in schema else None
    if "enum" in schema:
        allowed = frozenset(value for value in schema["enum"] if isinstance(value, str))
        return lambda value: value in allowed and least <= len(value) <= most and pattern is None
    if pattern is not None:
        return lambda value: least <= len(value) <= most and pattern(value) is not None
    return lambda value: least <= len(value) <= most


def _number(schema: Mapping[str, Any]) -> Acceptor:
    least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    return lambda value: (
        least <= value <= most and (above is None or value > above) and (below is None or value < below)
    )


def _array(schema: Mapping[str, Any]) -> Acceptor:
    least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
    item = acceptor(schema["items"]) if "items" in schema else lambda _: True
    return lambda value: least <= len(value) <= most and all(map(item, value))


def _object(schema: Mapping[str, Any]) -> Acceptor:
    required = frozenset(schema.get("required", ()))
    properties = {name: acceptor(below) for name, below in schema.get("properties", {}).items()}

    def accepts(value: dict[str, Any]) -> bool:
        if not required <= value.keys():
            return False
        for name, item in value.items():
            accepts_item = properties.get(name)
            if accepts_item is not None and not accepts_item(item):
                return False
        return True

    return accepts
