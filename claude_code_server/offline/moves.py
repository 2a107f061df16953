"""What a rule and the conversation say to each other."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Request:
    """One task as the rules see it."""

    text: str
    tools: frozenset[str]

    def first_granted(self, *names: str) -> str | None:
        """The first of ``names`` that may be called, by order of preference."""
        return next((name for name in names if name in self.tools), None)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call, and what is said before it."""

    say: str
    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool call came back with."""

    text: str
    failed: bool = False


Talk: TypeAlias = Generator[Call, Result, str]
"""A rule at work: yields calls, is sent their results, returns the final text.

It is run again from the start for every request, with the results so far, so it must be deterministic.
"""
