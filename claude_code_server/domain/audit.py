"""Audit log: who ran what, with which tools, at what cost. It holds no prompt, no result and no key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from typing import Any, Final

import attrs

from .api_key import STORED
from .usage import Usage

_ID_LENGTH: Final = 12
_UNKNOWN: Final = "(unknown)"
_NAME_FIELDS: Final = {"tool_call": "tool", "agent_spawn": "agent", "skill_invoke": "skill"}
"""Types of the events that use something, with the field that names it."""


def key_id(owner: str) -> str:
    """Return the ID of a key in logs: that of a stored key, or the beginning of the hash of another."""
    return owner if owner.startswith(STORED) else owner[:_ID_LENGTH]


@attrs.frozen
class Grants:
    """Tools, agents and skills that a task may use."""

    tools: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        return (*self.tools, *self.agents, *self.skills)


@attrs.frozen
class AuditEntry:
    """Entry for one task or completion."""

    at: str
    owner: str
    kind: str
    """``task`` or ``completion``."""
    model: str
    status: str
    usage: Usage
    task_id: str | None = None
    request_id: str | None = None
    grants: Grants = attrs.field(factory=Grants)
    used: Mapping[str, int] = attrs.field(factory=dict)
    """Number of calls of each tool, agent and skill."""
    ended_at: str | None = None


def count_use(used: Counter[str], event_type: str, fields: Mapping[str, Any], known: Container[str]) -> None:
    """Count what an event uses. Names that are not ``known`` are the model's invention, and count as one."""
    field = _NAME_FIELDS.get(event_type)
    if field is not None:
        name = fields.get(field)
        used[name if isinstance(name, str) and name in known else _UNKNOWN] += 1
