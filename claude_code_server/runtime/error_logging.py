"""Logging of unexpected exceptions without their messages, which may contain a prompt or a key."""

from __future__ import annotations

import logging
import traceback


def log_exception(log: logging.Logger, subject: str, error: BaseException) -> None:
    """Log the types and stack frames of ``error`` and of its causes. ``subject`` names what failed."""
    log.error("%s failed: %s", subject, describe_exception(error))


def describe_exception(error: BaseException) -> str:
    """Return the types and stack frames of ``error`` and of its causes, without their messages."""
    parts: list[str] = []
    described: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in described:
        described.add(id(current))
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"{type(current).__qualname__}\n{frames}")
        current = current.__cause__ or current.__context__
    return "caused by ".join(parts)
