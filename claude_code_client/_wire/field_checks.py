"""Checks of the fields of models: a server's values have the types that the models state. No I/O."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

import attrs

M = TypeVar("M")

MAX_ID: Final = 1000
"""Characters; IDs are much shorter."""


class FieldError(TypeError):
    """Field of a model with a value that the model does not allow."""


_PLAIN: Final = (str, bool, NoneType)
"""Types of which every value is allowed."""
_NUMBERS: Final = (int, float)
Check = Callable[[Any], bool]
"""Returns whether a value is allowed."""


def checked(model: M) -> M:
    """Return the model. Raises FieldError if a field has a type other than its annotation.

    Every number in a model is an amount of money, tokens, bytes or requests: finite and not negative. An ``id`` can be
    put into a URL, or is empty, as those of the legacy service's artifacts.
    """
    kind: type = type(model)
    names, values, checks = _checks(kind)
    for name, value, check in zip(names, values(model), checks, strict=True):
        if not check(value):
            # The value stays out of the message: it may be a prompt.
            raise FieldError(f"the field {name} has a value that is not allowed")
    return model


@cache
def _checks(model: type) -> tuple[list[str], Callable[[Any], tuple[Any, ...]], list[Check]]:
    """Return the names of the fields, a function that gets their values, and a check for each of them."""
    hints = get_type_hints(model)
    names = [field.name for field in attrs.fields(model)]
    return names, attrgetter(*names), [_is_id_or_empty if name == "id" else _check(hints[name]) for name in names]


def _check(hint: Any) -> Check:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType and all(argument in _PLAIN for argument in arguments):
        return lambda value: isinstance(value, arguments)
    if origin is UnionType:
        alternatives = [_check(argument) for argument in arguments if argument not in _PLAIN]
        plain = tuple(argument for argument in arguments if argument in _PLAIN)
        return lambda value: isinstance(value, plain) or any(check(value) for check in alternatives)
    if origin is list:
        item = _check(arguments[0])
        return lambda value: isinstance(value, list) and all(map(item, value))
    if hint is float:
        return is_amount
    if hint is int:
        return lambda value: isinstance(value, int) and is_amount(value)
    kind = NoneType if hint is None else origin or hint
    return lambda value: isinstance(value, kind)


def is_id(value: object) -> bool:
    """Return whether the value is a str that can be a segment of a URL."""
    return isinstance(value, str) and value.isprintable() and value not in ("", ".", "..") and len(value) <= MAX_ID


def _is_id_or_empty(value: object) -> bool:
    return value == "" or is_id(value)


def is_amount(value: object) -> bool:
    """Return whether the value is a number that is finite and not negative."""
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        return False
    try:
        return math.isfinite(value) and value >= 0
    except OverflowError:  # an int that no float can hold
        return False
