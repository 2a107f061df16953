"""Arguments of the commands that work on a state directory: parsing, and times as people write them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

_DURATION: Final = re.compile(r"(\d{1,6})([mhdw])", re.ASCII)
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace | int:
    """Return the options, or the exit code if the parser has printed its help or an error."""
    try:
        return parser.parse_args(argv)
    except SystemExit as end:
        return exit_code(end)


def exit_code(end: SystemExit) -> int:
    """Return the exit code of a parser that has ended the program."""
    return end.code if isinstance(end.code, int) else 0


def add_state_dir(parser: argparse.ArgumentParser) -> None:
    """Add the option with the state directory."""
    parser.add_argument(
        "--state-dir", type=Path, required=True, metavar="DIR", help="state directory of the server (serve --state-dir)"
    )


def parse_time(text: str, *, sign: int) -> datetime:
    """Return the time that a duration such as ``30m``, ``12h``, ``90d`` or ``4w`` is from now, or a time in ISO 8601.

    ``sign`` is 1 for a duration into the future, -1 for one into the past. Times are UTC unless they say otherwise.
    Raise ValueError.
    """
    try:
        if found := _DURATION.fullmatch(text):
            return datetime.now(UTC) + sign * int(found[1]) * _UNITS[found[2]]
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is too far away") from None
