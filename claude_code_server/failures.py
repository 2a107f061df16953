"""How an unexpected exception is logged: where it happened, not what was in it."""

import logging
import traceback


def log_failure(log: logging.Logger, what: str, error: BaseException) -> None:
    """Log the types and frames of ``error`` and its causes, without their texts: those may hold a prompt or a key."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"{type(current).__qualname__}\n{frames}")
        current = current.__cause__ or current.__context__
    log.error("%s failed: %s", what, "caused by ".join(parts))
