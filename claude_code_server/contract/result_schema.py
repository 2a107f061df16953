"""Schema of a task's result, which the request brings as ``context.result_schema``: checked, and applied to results."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
from jsonschema.exceptions import SchemaError, ValidationError  # type: ignore[import-untyped]
from jsonschema.validators import extend  # type: ignore[import-untyped]
from referencing import Registry
from referencing.exceptions import Unresolvable

from .validation import Violation, violation

MAX_CHARACTERS: Final = 50_000
"""Limit on a schema, which reaches Claude Code as an argument of its command line."""
_MAX_SECONDS: Final = 5.0
_NO_FORMATS: Final = FormatChecker(())
"""Patterns are regular expressions of JavaScript, not of Python."""
_DRAFTS: Final = {
    **{f"http{s}://json-schema.org/draft-07/schema": Draft7Validator for s in ("", "s")},
    **{f"http{s}://json-schema.org/draft/2020-12/schema": Draft202012Validator for s in ("", "s")},
}
_SCHEMAS: Final = {"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"}
_LISTS: Final = {"allOf", "anyOf", "oneOf", "prefixItems", "items"}
_MAPS: Final = {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
_OTHERS: Final = (
    {"$comment", "$id", "$ref", "$schema", "const", "default", "dependentRequired", "deprecated", "description", "enum"}
    | {
        "examples",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
    }
    | {"minItems", "minLength", "minProperties", "minimum", "multipleOf", "pattern", "readOnly", "required", "title"}
    | {"type", "uniqueItems", "writeOnly", "contentEncoding", "contentMediaType", "maxContains", "minContains"}
)
_KEYWORDS: Final = _SCHEMAS | _LISTS | _MAPS | _OTHERS


def schema_problem(schema: Any) -> Violation | None:
    """Return the first reason why a schema cannot be used, with the path in the schema."""
    if not isinstance(schema, dict):
        return Violation("", "must be an object")
    if len(json.dumps(schema)) > MAX_CHARACTERS:
        return Violation("", f"must not have more than {MAX_CHARACTERS} characters as JSON")
    try:
        return _first_problem(schema)
    except RecursionError:
        return Violation("", "is nested too deeply")


def result_problem(schema: Mapping[str, Any], result: Any) -> Violation | None:
    """Return the first violation of a usable schema by a result.

    Claude Code has validated the result already. Left to it are the keywords whose evaluation could stop this process
    for hours: regular expressions, and what depends on them.
    """
    deadline = time.monotonic() + _MAX_SECONDS
    draft = _draft(schema)

    def in_time(validator: Any, reference: str, instance: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
        if time.monotonic() > deadline:
            raise TimeoutError
        yield from draft.VALIDATORS["$ref"](validator, reference, instance, schema)

    def additional(validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
        if "patternProperties" not in schema:
            yield from draft.VALIDATORS["additionalProperties"](validator, value, instance, schema)

    left_out = dict.fromkeys(("pattern", "patternProperties", "uniqueItems"))
    validator = extend(draft, {**left_out, "$ref": in_time, "additionalProperties": additional})
    try:
        error = next(validator(schema, registry=Registry()).iter_errors(result), None)
    except (RecursionError, TimeoutError):
        return Violation("", "could not be validated in time")
    return None if error is None else violation(error)


def _draft(schema: Mapping[str, Any]) -> Any:
    return _DRAFTS.get(str(schema.get("$schema", "")).removesuffix("#"), Draft202012Validator)


def _first_problem(schema: dict[str, Any]) -> Violation | None:
    if "$schema" in schema and str(schema["$schema"]).removesuffix("#") not in _DRAFTS:
        return Violation("$schema", "must be that of JSON Schema draft 2020-12 or draft-07")
    draft = _draft(schema)
    try:
        draft.check_schema(schema, format_checker=_NO_FORMATS)
    except SchemaError as error:
        found = violation(error)
        return Violation(found.path, f"is not valid in a JSON Schema: {found.message}")
    if schema.get("type") != "object":
        return Violation("type", 'must be "object": the result of a task is an object')
    summary = (schema.get("properties") or {}).get("summary")
    if isinstance(summary, dict) and summary.get("type", "string") != "string":
        return Violation("properties.summary.type", 'must be "string": every result has such a summary')
    validator = draft(schema, registry=Registry())
    return next(filter(None, (_problem(part, path, validator) for part, path in _parts(schema, ""))), None)


def _problem(schema: Mapping[str, Any], path: str, validator: Any) -> Violation | None:
    """Return what is wrong with one part of a schema, which its metaschema does not tell."""
    for keyword in schema:
        if keyword not in _KEYWORDS:
            return Violation(path, f"has the keyword {keyword[:40]!r}, which is not supported")
    reference = schema.get("$ref")
    if reference is not None:
        try:
            # The registry is empty: nothing but the schema itself is found, and nothing is retrieved.
            validator._resolver.lookup(reference)
        except (Unresolvable, ValueError):
            return Violation(f"{path}.$ref".removeprefix("."), "must point to a part of the schema itself")
    for pattern in (schema.get("pattern"), *(schema.get("patternProperties") or ())):
        if pattern is not None and not _is_pattern(pattern):
            return Violation(path, "has a pattern that is not a regular expression")
    return None


def _is_pattern(pattern: str) -> bool:
    """Return whether a regular expression of JavaScript is valid, going by Python's, which differ little."""
    translated = re.sub(r"\(\?<(?![=!])", "(?P<", re.sub(r"\\[pP]\{[^}]*\}", r"\\w", pattern))
    try:
        re.compile(translated)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _parts(schema: Any, path: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Return a schema and those within it, with their paths."""
    if not isinstance(schema, dict):
        return
    yield schema, path
    for keyword, value in schema.items():
        below: Iterator[tuple[str, Any]] = iter(())
        here = f"{path}.{keyword}".removeprefix(".")
        if keyword in _MAPS and isinstance(value, dict):
            below = ((f"{here}.{name}", part) for name, part in value.items())
        elif keyword in _LISTS and isinstance(value, list):
            below = ((f"{here}[{index}]", part) for index, part in enumerate(value))
        elif keyword in _SCHEMAS:
            below = iter([(here, value)])
        for place, part in below:
            yield from _parts(part, place)
