"""Interface between a rule and the conversation: tasks, tool calls and their results."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, TypeAlias

import attrs


@attrs.frozen
class OfflineTask:
    """Input of a rule: the text of a task and the tools that it may use."""

    text: str
    tools: frozenset[str]

    def first_granted(self, *names: str) -> str | None:
        """Return the first of ``names`` that the task may use."""
        return next((name for name in names if name in self.tools), None)


@attrs.frozen
class ToolCall:
    """A tool call with the text before it."""

    text: str
    name: str
    input: Mapping[str, Any]


@attrs.frozen
class ToolResult:
    """Result of a tool call."""

    text: str
    failed: bool = False


Dialogue: TypeAlias = Generator[ToolCall, ToolResult, str]
"""A rule in progress: yields tool calls, receives their results, returns the final text.

Each request replays the rule from its start with the results so far, so a rule must be deterministic.
"""
