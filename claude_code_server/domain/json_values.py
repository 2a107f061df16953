"""Values of JSON: what JSON cannot express is expressed as well as possible. No I/O."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import attrs

MAX_DEPTH: Final = 100
"""Nesting up to which values stay as they are: every JSON library reads as much."""
_MAX_INTEGER_BITS: Final = 1024
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_NESTED_TOO_DEEPLY: Final = "[nested too deeply]"


@attrs.frozen
class Expressed:
    """A value that JSON can express."""

    value: Any
    exact: bool
    """True if it is the original value. Otherwise parts of it became text."""


def express(value: Any) -> Expressed:
    """Return ``value`` as JSON can express it.

    Non-finite and huge numbers, values nested more than 100 levels deep and objects of other types become text. Lone
    surrogates become question marks.
    """
    expression = _Expression()
    return Expressed(expression.copy(value, MAX_DEPTH), expression.exact)


def encode_json(value: Any) -> bytes:
    """Encode JSON in UTF-8, as well as JSON can express the value (see ``express``)."""
    try:
        text = _ENCODER.encode(value)
    except (ValueError, TypeError, RecursionError):
        text = _ENCODER.encode(express(value).value)
    return text.encode(errors="replace")


class _Expression:
    def __init__(self) -> None:
        self.exact = True

    def copy(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int):
            return int(value) if value.bit_length() <= _MAX_INTEGER_BITS else self._changed(hex(value))
        if isinstance(value, float):
            return value if math.isfinite(value) else self._changed(json.dumps(value))
        if not isinstance(value, Mapping | list | tuple):
            return self._changed(str(value))
        if depth == 0:
            return self._changed(_json_text(value))
        if isinstance(value, Mapping):
            return {self._text(str(name)): self.copy(item, depth - 1) for name, item in value.items()}
        return [self.copy(item, depth - 1) for item in value]

    def _text(self, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            return self._changed(text.encode(errors="replace").decode())
        return str(text)

    def _changed(self, text: str) -> str:
        self.exact = False
        return text


def _json_text(value: Any) -> str:
    try:
        return json.dumps(value, default=str)
    except (ValueError, TypeError, RecursionError):
        return _NESTED_TOO_DEEPLY
