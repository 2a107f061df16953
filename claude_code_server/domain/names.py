"""Checks of names that requests may mention: tools, agents, skills."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN_CHARACTERS = 40


def unknown_name(kind: str, names: Iterable[str], available: Iterable[str]) -> tuple[int, str] | None:
    """Return index and error message of the first of ``names`` that is not ``available``."""
    known = list(available)
    for index, name in enumerate(names):
        if name not in known:
            return index, f"unknown {kind} {name[:_SHOWN_CHARACTERS]!r}; available: {', '.join(known)}."
    return None
