"""Names: checks of those that requests may mention, such as tools and agents, and IDs of what the server makes."""

from __future__ import annotations

import os
from collections.abc import Iterable

_SHOWN_CHARACTERS = 40


def new_id(kind: str) -> str:
    """Return a new random ID that begins with its kind, such as ``task_…``."""
    return f"{kind}_{os.urandom(16).hex()}"


def unknown_name(kind: str, names: Iterable[str], available: Iterable[str]) -> tuple[int, str] | None:
    """Return index and error message of the first of ``names`` that is not ``available``."""
    known = list(available)
    for index, name in enumerate(names):
        if name not in known:
            return index, f"unknown {kind} {name[:_SHOWN_CHARACTERS]!r}; available: {', '.join(known)}."
    return None
