"""JSON in, one clear sentence out when it is not what a schema says. No value that was sent is repeated."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry
from referencing.jsonschema import DRAFT202012

_ROOT = "urn:contract"
_KINDS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_TEXTS = {
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


@dataclass(frozen=True, slots=True)
class Problem:
    """``path`` names the field, as ``messages[0].role``; empty for the value itself."""

    path: str
    text: str


class Checker:
    """Checks values against one schema; ``document`` is what its references point into."""

    def __init__(self, schema: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        registry = Registry().with_resource(_ROOT, DRAFT202012.create_resource(dict(document)))
        self._validator = Draft202012Validator(dict(schema), registry=registry)

    @staticmethod
    def absolute(reference: str) -> str:
        """A reference into the document, as a checker takes it."""
        return _ROOT + reference

    def problem(self, value: Any) -> Problem | None:
        """The first thing that is wrong."""
        error = next(self._validator.iter_errors(value), None)
        return None if error is None else _problem(error)


def parse(data: bytes) -> Any:
    """JSON by the letter: UTF-8, no NaN or infinity. Raises ValueError with a sentence that repeats nothing."""
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse, parse_float=_float, parse_int=_int)
    except UnicodeDecodeError:
        raise ValueError("the body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"the body is not JSON: {error.msg} at {where}.") from None
    except RecursionError:
        raise ValueError("the body is nested too deeply.") from None


def canonical(value: Any) -> bytes:
    """The same bytes for the same JSON. Raises ValueError for text that is not Unicode."""
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise ValueError("the body holds half of a surrogate pair.") from None
    except RecursionError:
        raise ValueError("the body is nested too deeply.") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"the body is not JSON: {name} is not a number there.")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("the body holds a number that is too large.")
    return value


def _int(text: str) -> int:
    if len(text) > 18:
        raise ValueError("the body holds a number that is too large.")
    return int(text)


def _problem(error: Any) -> Problem:
    path = _path(error.absolute_path)
    keyword, expected = error.validator, error.validator_value
    if keyword == "required":
        missing = next(name for name in expected if name not in error.instance)
        return Problem(f"{path}.{missing}" if path else missing, "is required")
    if keyword == "type":
        return Problem(path, f"must be {_kinds([expected] if isinstance(expected, str) else expected)}")
    if keyword in ("oneOf", "anyOf"):
        branches = [branch for branch in error.context if branch.validator != "type"]
        if branches:
            return _problem(branches[0])
        return Problem(path, f"must be {_kinds(branch.validator_value for branch in error.context)}")
    if keyword == "enum":
        return Problem(path, f"must be one of {', '.join(map(str, expected))}")
    if (keyword, expected) in (("minLength", 1), ("minItems", 1)):
        return Problem(path, "must not be empty")
    if (keyword, expected) == ("pattern", r"\S"):
        return Problem(path, "must not be blank")
    text = _TEXTS.get(keyword)
    return Problem(path, text.format(expected) if text else f"is not as the contract says ({keyword})")


def _kinds(types: Iterable[str]) -> str:
    return " or ".join(_KINDS.get(type_, type_) for type_ in dict.fromkeys(types))


def _path(parts: Iterable[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")
