"""Types of settings: values are checked the same way, whether a flag, a variable or the settings file gives them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs

from ..domain.host_pattern import HostPattern

_SECRET_LENGTH: Final = 16
_MAX_DAYS: Final = 36_500
_TRUE: Final = ("1", "true", "yes", "on")
_FALSE: Final = ("0", "false", "no", "off", "")


@attrs.frozen
class OptionType:
    """Type of one value."""

    expected: str
    """Description for error messages, such as "a whole number"."""
    native: tuple[type, ...]
    """Types that the value may have in the settings file."""
    convert: Callable[[Any], Any]
    """Convert a text or a native value. Raise ValueError."""

    def parse(self, value: object) -> Any:
        """Return the value for a text, or for a value of the settings file. Raise ValueError with the reason."""
        try:
            return self.convert(value)
        except (ValueError, OverflowError):
            raise self._wrong(value) from None

    def parse_native(self, value: object) -> Any:
        """Return the value for a value of the settings file. Raise ValueError with the reason."""
        if type(value) not in self.native:
            raise self._wrong(value)
        return self.parse(value)

    def _wrong(self, value: object) -> ValueError:
        return ValueError(f"must be {self.expected}, not {textwrap.shorten(repr(value), 80)}")


def whole_number(smallest: int, largest: int | None = None) -> OptionType:
    """Return the type of whole numbers within bounds."""

    def convert(value: str | int) -> int:
        number = int(value)
        if number < smallest or (largest is not None and number > largest):
            raise ValueError
        return number

    bounds = f"of at least {smallest}" if largest is None else f"from {smallest} to {largest}"
    return OptionType(f"a whole number {bounds}", (int,), convert)


def _positive(value: str | float) -> float:
    number = float(value)
    if not math.isfinite(number) or number <= 0:
        raise ValueError
    return number


def _days(value: str | float) -> float:
    number = _positive(value)
    if number > _MAX_DAYS:
        raise ValueError
    return number


def _switch(value: str | bool) -> bool:
    text = str(value).lower()
    if text not in (*_TRUE, *_FALSE):
        raise ValueError
    return text in _TRUE


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError
    return value


def _isolation(value: str) -> str:
    if value != "worktree":
        raise ValueError
    return value


def _host(value: str) -> str:
    HostPattern.parse(value)
    return value


def _secret(value: str) -> str:
    if len(value) < _SECRET_LENGTH or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError
    return value


TEXT: Final = OptionType("text that is not empty", (str,), _text)
SECRET: Final = OptionType("text of at least 16 printable ASCII characters", (str,), _secret)
HOST: Final = OptionType("a host: NAME, *.NAME or NAME:PORT", (str,), _host)
ISOLATION: Final = OptionType('"worktree"', (str,), _isolation)
PATH: Final = OptionType("a path", (str,), lambda value: Path(_text(value)))
SECONDS: Final = OptionType("a number of seconds above 0", (int, float), _positive)
DAYS: Final = OptionType(f"a number of days above 0, up to {_MAX_DAYS}", (int, float), _days)
SWITCH: Final = OptionType("true or false", (bool,), _switch)
