"""Validation against JSON schemas. Error messages never repeat values that the client sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from .acceptance import acceptor

_ROOT: Final = "urn:contract"
_TYPE_NAMES: Final = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_MESSAGES: Final = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "minItems": "must have at least {} item(s)",
    "maxItems": "must have at most {} item(s)",
    "minLength": "must have at least {} character(s)",
    "maxLength": "must have at most {} character(s)",
    "multipleOf": "must be a multiple of {}",
    "const": "must be {}",
    "pattern": "must match the pattern {}",
}


@attrs.frozen
class Violation:
    """A violation of a schema."""

    path: str
    """The field, such as ``messages[0].role``; empty for the value itself."""
    message: str


class SchemaValidator:
    """Validator for one schema; ``document`` is the target of the schema's references."""

    def __init__(self, schema: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        registry = Registry().with_resource(_ROOT, DRAFT202012.create_resource(dict(document)))
        self._validator = Draft202012Validator(dict(schema), registry=registry)
        self._accepts = acceptor(schema)

    @staticmethod
    def absolute_reference(reference: str) -> str:
        """Return a reference into the document in the form that validators resolve."""
        return _ROOT + reference

    def first_violation(self, value: Any) -> Violation | None:
        """Validate ``value`` and return the first violation."""
        if self._accepts(value):
            return None
        error = next(self._validator.iter_errors(value), None)
        return None if error is None else violation(error)


def violation(error: Any) -> Violation:
    """Return an error of jsonschema as a violation."""
    path = _path(error.absolute_path)
    keyword, expected = error.validator, error.validator_value
    if keyword == "required":
        missing = next(name for name in expected if name not in error.instance)
        return Violation(f"{path}.{missing}" if path else missing, "is required")
    if keyword == "type":
        return Violation(path, f"must be {_type_names([expected] if isinstance(expected, str) else expected)}")
    if keyword in ("oneOf", "anyOf"):
        branches = [branch for branch in error.context if branch.validator != "type" or branch.relative_path]
        if branches:
            return violation(branches[0])
        return Violation(path, f"must be {_type_names(branch.validator_value for branch in error.context)}")
    if keyword == "enum":
        return Violation(path, f"must be one of {', '.join(map(str, expected))}")
    if (keyword, expected) in (("minLength", 1), ("minItems", 1)):
        return Violation(path, "must not be empty")
    if (keyword, expected) == ("pattern", r"\S"):
        return Violation(path, "must not be blank")
    message = _MESSAGES.get(keyword)
    return Violation(path, message.format(expected) if message else f"does not match the contract ({keyword})")


def _type_names(types: Iterable[str]) -> str:
    return " or ".join(_TYPE_NAMES.get(type_, type_) for type_ in dict.fromkeys(types))


def _path(parts: Iterable[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")
