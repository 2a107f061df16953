"""Strict JSON: parsing of request bodies and a canonical form. Error messages never repeat values from the body."""

from __future__ import annotations

import codecs
import json
import math
from typing import Any, Final, NoReturn

_MAX_INTEGER_DIGITS: Final = 18


def parse(data: bytes) -> Any:
    """Parse JSON in UTF-8 without NaN, infinities or huge numbers. Raise ValueError with a sentence for the caller."""
    try:
        return _DECODER.decode(data.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError:
        raise ValueError("the body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"the body is not JSON: {error.msg} at {where}.") from None
    except RecursionError:
        raise ValueError("the body is nested too deeply.") from None


def canonical(value: Any) -> bytes:
    """Serialize equal JSON values to equal bytes. Raise ValueError for text that is not Unicode."""
    try:
        return _CANONICAL.encode(value).encode()
    except UnicodeEncodeError:
        raise ValueError("the body contains half of a surrogate pair.") from None
    except RecursionError:
        raise ValueError("the body is nested too deeply.") from None


def _reject(name: str) -> NoReturn:
    raise ValueError(f"the body is not JSON: {name} is not a JSON number.")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("the body contains a number that is too large.")
    return value


def _int(text: str) -> int:
    if len(text) > _MAX_INTEGER_DIGITS:
        raise ValueError("the body contains a number that is too large.")
    return int(text)


# Made once: json.loads() and json.dumps() would make theirs for every request.
_DECODER: Final = json.JSONDecoder(parse_constant=_reject, parse_float=_float, parse_int=_int)
_CANONICAL: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
