"""Permissions of an API key: what it may use, how much of it, and the presets that keys start from. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

import attrs

Patterns = tuple[str, ...] | None
"""Names, or patterns such as ``semantic-*``; None for all names."""


def _patterns(value: Iterable[str] | None) -> Patterns:
    return None if value is None else tuple(value)


@attrs.frozen(kw_only=True)
class Permissions:
    """Permissions of a key. None means without a limit."""

    tools: Patterns = attrs.field(default=None, converter=_patterns)
    agents: Patterns = attrs.field(default=None, converter=_patterns)
    skills: Patterns = attrs.field(default=None, converter=_patterns)
    models: Patterns = attrs.field(default=None, converter=_patterns)
    """Models by alias or ID."""
    requests_per_minute: int | None = None
    tasks_at_once: int | None = None
    """Tasks that may be pending or running."""
    max_timeout: float | None = None
    """Largest timeout of a task, in seconds."""
    max_cost: float | None = None
    """Largest ``max_cost`` of a task, in USD."""
    day_budget: float | None = None
    """USD a day, in UTC."""
    month_budget: float | None = None
    """USD a calendar month, in UTC."""

    @property
    def has_budget(self) -> bool:
        return self.day_budget is not None or self.month_budget is not None

    def changed(self) -> dict[str, Any]:
        """Return the fields that limit something, by name."""
        return attrs.asdict(self, filter=lambda _, value: value is not None)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Permissions:
        """Return the permissions with these fields. A field that this version does not know raises TypeError.

        Ignoring it might permit what the key may not do.
        """
        return cls(**fields)


UNLIMITED: Final = Permissions()
_READ_ONLY: Final = ("Read", "Grep")
PRESETS: Final[Mapping[str, Permissions]] = {
    "free": Permissions(tools=_READ_ONLY, agents=(), skills=(), requests_per_minute=10, max_timeout=60),
    "pro": Permissions(tools=(*_READ_ONLY, "Bash", "Edit", "Write", "Glob"), requests_per_minute=100, max_timeout=300),
    "enterprise": UNLIMITED,
}


def matches(patterns: Patterns, *names: str | None) -> bool:
    """Return whether one of the names of a thing is permitted."""
    return patterns is None or any(fnmatchcase(name, pattern) for name in names if name for pattern in patterns)


def permitted(patterns: Patterns, names: Iterable[str]) -> list[str]:
    """Return those of ``names`` that are permitted."""
    return [name for name in names if matches(patterns, name)]
