"""Checks of the fields of models: a server's values have the types that the models state. No I/O."""

from __future__ import annotations

import sys
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
"""Types of which every value is allowed: most values are of these, and need no further check."""
Check = Callable[[Any], bool]
"""Returns whether a value is allowed."""


def checked(model: M) -> M:
    """Return the model. Raises FieldError if a field has a type other than its annotation.

    Every number in a model is an amount of money, tokens, bytes or requests: finite and not negative. An ``id`` can be
    put into a URL, or is empty, as those of the legacy service's artifacts.
    """
    kind: type = type(model)
    values, fields = _fields(kind)
    for value, (name, plain, check) in zip(values(model), fields, strict=True):
        if type(value) not in plain and not check(value):
            # The value stays out of the message: it may be a prompt.
            raise FieldError(f"the field {name} has a value that is not allowed")
    return model


@cache
def _fields(model: type) -> tuple[Callable[[Any], tuple[Any, ...]], list[tuple[str, frozenset[type], Check]]]:
    """Return a function that gets the values of all fields, and for each its name, plain types and check."""
    hints = get_type_hints(model)
    fields = [_field(field.name, hints[field.name]) for field in attrs.fields(model)]
    return attrgetter(*(name for name, _, _ in fields)), fields


def _field(name: str, hint: Any) -> tuple[str, frozenset[type], Check]:
    if name == "id":
        return name, frozenset(), _is_id_or_empty
    alternatives = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    return name, frozenset(each for each in alternatives if each in _PLAIN), _check(hint)


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
        return lambda value: type(value) is int and is_amount(value)
    kind = NoneType if hint is None else origin or hint
    return lambda value: isinstance(value, kind)


def is_id(value: object) -> bool:
    """Return whether the value is a str that can be a segment of a URL."""
    return isinstance(value, str) and value.isprintable() and value not in ("", ".", "..") and len(value) <= MAX_ID


def _is_id_or_empty(value: object) -> bool:
    return value == "" or is_id(value)


def is_amount(value: object) -> bool:
    """Return whether the value is a number that is finite and not negative."""
    # Neither a bool nor NaN; an int may be one that no float can hold.
    return (type(value) is int or type(value) is float) and 0 <= value <= sys.float_info.max
