"""Options of ``claude-code-client keys create``: permissions and expiry."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from ..domain.permissions import PRESETS, Permissions, permitted
from ..domain.timestamps import format_time
from ..engine.tools import TOOLS
from .arguments import parse_time

_ALL, _NONE = "all", "none"
_LISTS: Final = {
    "tools": "tools that tasks may use",
    "agents": "agents that tasks may spawn",
    "skills": "skills that tasks may invoke",
    "models": "models, by alias or ID",
}


def add_permission_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each permission. An option that is left out is None, and its permission the preset's."""
    for name, description in _LISTS.items():
        parser.add_argument(
            f"--{name}",
            type=_patterns,
            metavar="NAMES",
            help=f"{description}, separated by commas; patterns such as 'semantic-*'; '{_ALL}' or '{_NONE}'",
        )
    limits: Sequence[tuple[str, Callable[[str], Any], str, str]] = (
        ("requests-per-minute", _limit(int, 1), "N", "requests that a key may make a minute"),
        ("tasks-at-once", _limit(int, 1), "N", "tasks that may be pending or running at once"),
        ("max-timeout", _limit(float, 0.001), "SECONDS", "largest timeout of a task"),
        ("max-cost", _limit(float, 0.000_001), "USD", "largest cost limit of a task"),
        ("day-budget", _limit(float, 0), "USD", "budget a day (UTC)"),
        ("month-budget", _limit(float, 0), "USD", "budget a calendar month (UTC)"),
    )
    for name, parse, metavar, description in limits:
        parser.add_argument(f"--{name}", type=parse, metavar=metavar, help=f"{description}; '{_NONE}' for no limit")


def permissions_from(options: argparse.Namespace) -> Permissions:
    """Return the permissions of the preset with what the options change."""
    given = {field.name: getattr(options, field.name) for field in attrs.fields(Permissions)}
    changes = {name: value[0] for name, value in given.items() if value is not None}
    return attrs.evolve(PRESETS[options.preset], **changes)


def check_tools(permissions: Permissions) -> str | None:
    """Return an error message for the first tool or pattern that matches no tool."""
    for pattern in permissions.tools or ():
        if not permitted((pattern,), TOOLS):
            return f"no tool matches {pattern!r}; tools: {', '.join(TOOLS)}"
    return None


def expiry(text: str) -> str:
    """Return the time at which a key expires: a duration from now, or a date or time in ISO 8601 (UTC by default).

    Raise argparse.ArgumentTypeError.
    """
    try:
        time = parse_time(text, sign=1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a duration such as 30d or 12h nor a date") from None
    if time <= datetime.now(UTC):
        raise argparse.ArgumentTypeError(f"{text!r} is in the past")
    return format_time(time)


def _patterns(text: str) -> tuple[tuple[str, ...] | None]:
    """Return the value of a list option in a tuple, because None is a value."""
    if text.strip() == _ALL:
        return (None,)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if text.strip() == _NONE:
        return ((),)
    if not names:
        raise argparse.ArgumentTypeError(f"name at least one, or '{_ALL}' or '{_NONE}'")
    return (names,)


def _limit(number: Callable[[str], float], least: float) -> Callable[[str], tuple[float | None]]:
    """Return the parser of a limit, which returns a tuple, because None is a value."""

    def parse(text: str) -> tuple[float | None]:
        if text.strip() == _NONE:
            return (None,)
        try:
            value = number(text)
        except ValueError:
            value = math.nan
        if not least <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least {least:g}, or '{_NONE}'")
        return (value,)

    return parse
