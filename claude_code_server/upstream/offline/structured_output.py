"""Structured output of the offline model: an object of the requested schema, filled from the text of a rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

TOOL: Final = "StructuredOutput"
"""Tool through which Claude Code takes a structured result."""
_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?![\w])")
_ITEM: Final = re.compile(r"^[-*] +(.+)$", re.MULTILINE)
_MAX_DEPTH: Final = 10


class UnfillableError(Exception):
    """The text has no value for a required property."""


def fill(schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return an object with what ``text`` says: its first number, its list items, or the text itself, by type.

    Raise UnfillableError if a property is required and there is no value for it.
    """
    return _object(schema, text, schema, 0)


def _object(schema: Mapping[str, Any], text: str, root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    required = set(schema.get("required") or ())
    properties = schema.get("properties") or {}
    filled = {}
    for name, part in properties.items():
        try:
            filled[name] = _value(part, text, root, depth + 1)
        except UnfillableError:
            if name in required:
                raise
    if missing := required - filled.keys():
        raise UnfillableError(sorted(missing)[0])
    return filled


def _value(schema: Any, text: str, root: Mapping[str, Any], depth: int) -> Any:
    if depth > _MAX_DEPTH or not isinstance(schema, Mapping):
        raise UnfillableError
    if (reference := schema.get("$ref")) is not None:
        return _value(_resolve(str(reference), root), text, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    types = schema.get("type")
    match types[0] if isinstance(types, list) and types else types:
        case "string" if "enum" not in schema and "format" not in schema and "pattern" not in schema:
            return text
        case "integer" | "number" if found := _NUMBER.search(text):
            return int(found[0].replace(",", ""))
        case "array" if _is_string(schema.get("items")):
            return _ITEM.findall(text)
        case "object":
            return _object(schema, text, root, depth)
    raise UnfillableError


def _is_string(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "string"


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    part: Any = root
    for name in reference.removeprefix("#").split("/")[1:]:
        part = part.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(part, Mapping) else None
    return part
