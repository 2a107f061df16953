"""Checks of arguments, and conversion of arguments to generated request bodies. No I/O.

Whatever the contract rules out raises InvalidRequestError, with the parameter in ``param``, before anything is sent.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import uuid
from collections.abc import Mapping, Sequence, Sized
from functools import cache
from typing import Any, Final, TypeAlias, TypeVar

from claude_code_api import models as generated
from claude_code_api.constraints import CONSTRAINTS

from .._config import Config, check_timeout, shown
from ..errors import InvalidRequestError
from .event_cursor import EventCursor
from .field_checks import MAX_ID, is_id

B = TypeVar("B")

_Rule: TypeAlias = Mapping[str, Any]
"""An entry of CONSTRAINTS."""
_LARGEST: Final = 2**53
"""Implementations do not agree on larger integers in JSON (RFC 8259, section 6)."""
_MAX_DIGITS: Final = 18
_PROMPT: Final[_Rule] = {**CONSTRAINTS["Message"]["content"], "pattern": r"\S"}
_KEY: Final = re.compile(r"[!-~]{1,255}")


def request_body(body_class: type[B], fields: Mapping[str, Any], **checked: Any) -> B:
    """Return a request body with ``fields``, by attribute name; None leaves an optional field out.

    The generated class and the contract's constraints decide which fields there are and which values they may have.
    ``checked`` are values that have been checked, as the generated class holds them. Raises InvalidRequestError, naming
    the parameter.
    """
    unknown = fields.keys() - CONSTRAINTS[body_class.__name__].keys()
    if unknown:
        raise TypeError(f"{body_class.__name__} has no field {', '.join(sorted(unknown))}")
    body: B = _object("", fields, body_class, **checked)
    return body


def completion_body(prompt: str | None, fields: Mapping[str, Any]) -> generated.CreateCompletionRequest:
    """Return the body of a completion: with the messages among the fields, or with the prompt as the only one."""
    if (prompt is None) == (fields.get("messages") is None):
        raise InvalidRequestError("Pass either prompt or messages.", param="prompt")
    if prompt is None:
        return request_body(generated.CreateCompletionRequest, fields)
    # A message may be empty; a prompt may not.
    content = _text("prompt", prompt, _PROMPT)
    message = generated.Message(role=generated.Role.USER, content=content)
    return request_body(generated.CreateCompletionRequest, fields, messages=[message])


def json_object(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a dict of JSON types. Raises InvalidRequestError."""
    if not isinstance(value, Mapping):
        raise _wrong_type(name, "a dict", value)
    if not all(isinstance(key, str) for key in value):
        raise _invalid(name, "must have str as keys.")
    copied: dict[str, Any] = _json(name, dict(value))
    return copied


def check_id(name: str, value: str, expected: str = "a task ID, a str") -> str:
    """Return ``value``. Raises InvalidRequestError, saying what is expected, if it cannot be a segment of a URL."""
    if not is_id(value):
        length = len(value) if isinstance(value, str) else 0
        problem = f"; this one has {length} characters" if length > MAX_ID else ""
        raise InvalidRequestError(f"{name} must be {expected}{problem}.", param=name)
    return value


def call_key(idempotency_key: str | None) -> str:
    """Return the ``Idempotency-Key`` of all attempts of a call: the one passed, or a new one."""
    if idempotency_key is None:
        return str(uuid.uuid4())
    if not isinstance(idempotency_key, str) or not _KEY.fullmatch(idempotency_key):
        raise InvalidRequestError(
            "idempotency_key must be a str of 1 to 255 ASCII characters without spaces.", param="idempotency_key"
        )
    return idempotency_key


def call_timeout(timeout: float | None, config: Config) -> float:
    """Return the seconds that a call may take. Raises ConfigurationError."""
    return config.timeout if timeout is None else check_timeout(timeout)


def check_waiting(timeout: float | None, stall_timeout: float | None) -> None:
    """Raise ConfigurationError if a timeout is not a positive number of seconds."""
    for name, seconds in (("timeout", timeout), ("stall_timeout", stall_timeout)):
        if seconds is not None:
            check_timeout(seconds, name)


def check_callback(name: str, callback: object, *, may_be_async: bool = False) -> None:
    """Raise InvalidRequestError for an object that the client cannot call."""
    if callback is None:
        return
    if not callable(callback):
        raise _wrong_type(name, "a function", callback)
    if not may_be_async and inspect.iscoroutinefunction(callback):
        raise InvalidRequestError(
            f"{name} must be a plain function; coroutine functions are for AsyncClaudeClient.", param=name
        )


def cursor_after(event_id: str | int | None) -> EventCursor:
    """Return a cursor at the last event that the caller has; None stands for none. Raises InvalidRequestError."""
    number = 0 if event_id is None else event_id
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) <= _MAX_DIGITS:
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise InvalidRequestError(
            "after must be an event ID, such as last_event_id, or None for all events.", param="after"
        )
    return EventCursor(number)


def _object(path: str, values: Mapping[str, Any], cls: Any, **checked: Any) -> Any:
    """Return an instance of a generated class with an entry in CONSTRAINTS."""
    rules = CONSTRAINTS[cls.__name__]
    for name, value in values.items():
        if value is not None and name in rules:
            checked[name] = _value(f"{path}.{name}" if path else name, value, rules[name])
    for name in _required(cls.__name__):
        if name not in checked:
            _value(f"{path}.{name}" if path else name, None, rules[name])
    return cls(**checked)


@cache
def _required(class_name: str) -> list[str]:
    return [name for name, rule in CONSTRAINTS[class_name].items() if rule["required"]]


def _value(name: str, value: Any, rule: _Rule) -> Any:
    """Return the value as the generated class holds it. Raises InvalidRequestError if the contract rules it out."""
    if "enum" in rule:
        return _choice(name, value, rule)
    match rule.get("type"):
        case "string":
            return _text(name, value, rule)
        case "integer":
            return _integer(name, value, rule)
        case "number":
            return _number(name, value, rule)
        case "boolean":
            if not isinstance(value, bool):
                raise _wrong_type(name, "a bool", value)
            return value
        case "array":
            return _array(name, value, rule)
        case "object":
            return _nested(name, value, rule)
        case _:
            return _json(name, value)


def _choice(name: str, value: Any, rule: _Rule) -> Any:
    if value not in rule["enum"]:
        raise InvalidRequestError(f"{name} must be one of {', '.join(map(str, rule['enum']))}.", param=name)
    return getattr(generated, rule["class"])(value) if "class" in rule else value


def _text(name: str, value: Any, rule: _Rule) -> str:
    if not isinstance(value, str):
        raise _wrong_type(name, "a str", value)
    _check_length(name, value, "characters", rule.get("minLength", 0), rule.get("maxLength"))
    pattern = rule.get("pattern")
    if pattern is not None and not _compiled(pattern).search(value):
        # Do not repeat the value: it may be a prompt.
        problem = "not be empty" if pattern == r"\S" else f"match the pattern {pattern}"
        raise _invalid(name, f"must {problem}.")
    return _encodable(name, value)


_compiled: Final = cache(re.compile)


def _integer(name: str, value: Any, rule: _Rule) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(name, "an int", value)
    _check_range(name, value, rule)
    return value


def _number(name: str, value: Any, rule: _Rule) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(name, "a number", value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _invalid(name, f"must be a finite number, not {shown(value)}.")
    _check_range(name, value, rule)
    return value


def _array(name: str, value: Any, rule: _Rule) -> list[Any]:
    item_rule: _Rule = rule.get("items", {})
    of_text = item_rule.get("type") == "string"
    if of_text and isinstance(value, str | bytes):
        raise _invalid(name, f"must be a list of str, not a bare {type(value).__name__}: put it in brackets.")
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | set | frozenset if of_text else Sequence):
        items = {"string": " of str", "object": " of dicts"}.get(item_rule.get("type", ""), "")
        raise _wrong_type(name, f"a list{items}", value)
    _check_length(name, value, "items", rule.get("minItems", 0), rule.get("maxItems"))
    checked = [_value(f"{name}[{index}]", item, item_rule) for index, item in enumerate(value)]
    return sorted(checked) if isinstance(value, set | frozenset) else checked


def _nested(name: str, value: Any, rule: _Rule) -> Any:
    cls = getattr(generated, rule["class"]) if "class" in rule else None
    rules = CONSTRAINTS.get(rule.get("class", ""))
    if not isinstance(value, Mapping):
        required = [field for field, field_rule in (rules or {}).items() if field_rule["required"]]
        raise _wrong_type(name, f"a dict with {' and '.join(required)}" if required else "a dict", value)
    if rules is not None:
        return _object(name, value, cls)
    decoded = _json(name, dict(value))
    return decoded if cls is None else cls.from_dict(decoded)


def _check_length(name: str, value: Sized, unit: str, minimum: int, maximum: int | None) -> None:
    if len(value) < minimum:
        raise _invalid(name, "must not be empty." if minimum == 1 else f"must have at least {minimum} {unit}.")
    if maximum is not None and len(value) > maximum:
        raise _invalid(name, f"must have at most {maximum} {unit}, not {len(value)}.")


def _check_range(name: str, value: float, rule: _Rule) -> None:
    if value > _LARGEST:
        raise _invalid(name, f"must be at most {rule.get('maximum', _LARGEST)}.")
    infinity = math.inf
    if (
        not rule.get("minimum", -infinity) <= value <= rule.get("maximum", infinity)
        or value <= rule.get("exclusiveMinimum", -infinity)
        or value >= rule.get("exclusiveMaximum", infinity)
    ):
        raise _invalid(name, f"must be {_range(rule)}, not {shown(value)}.")


def _range(rule: _Rule) -> str:
    if "minimum" in rule and "maximum" in rule:
        return f"from {rule['minimum']:g} to {rule['maximum']:g}"
    phrases = {
        "minimum": "{:g} or more",
        "exclusiveMinimum": "more than {:g}",
        "maximum": "at most {:g}",
        "exclusiveMaximum": "less than {:g}",
    }
    return " and ".join(phrase.format(rule[keyword]) for keyword, phrase in phrases.items() if keyword in rule)


def _json(name: str, value: Any) -> Any:
    """Return a copy of the value, decoded from its JSON."""
    try:
        return json.loads(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        # The message of a UnicodeEncodeError is about UTF-8, which does not help the caller.
        problem = "a str is not valid Unicode" if isinstance(error, UnicodeError) else str(error)
    raise _invalid(name, f"must hold JSON types only: {problem}.")


def _encodable(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        pass
    else:
        return text
    raise _invalid(name, "must be valid Unicode; it contains a lone surrogate.")


def _wrong_type(name: str, expected: str, value: object) -> InvalidRequestError:
    return _invalid(name, f"must be {expected}, not {'None' if value is None else type(value).__name__}.")


def _invalid(name: str, problem: str) -> InvalidRequestError:
    """Return the exception for a value; its ``param`` is the parameter that the value was passed in."""
    return InvalidRequestError(f"{name} {problem}", param=name.partition("[")[0])
