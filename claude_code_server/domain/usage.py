"""Usage: tokens and cost of tasks, completions and single model calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs


@attrs.frozen
class Usage:
    """Tokens and cost."""

    input_tokens: int = 0
    """Tokens read from and written to the prompt cache included."""
    output_tokens: int = 0
    cost: float = 0.0
    """USD."""

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


NO_USAGE: Final = Usage()


@attrs.frozen
class ModelUsage:
    """Usage of one model."""

    model: str
    requests: int
    usage: Usage


def total_usage(parts: Iterable[Usage]) -> Usage:
    """Add up usage."""
    every = list(parts)
    return Usage(
        sum(part.input_tokens for part in every),
        sum(part.output_tokens for part in every),
        sum(part.cost for part in every),
    )


def merge_counts(counts: dict[str, Any], reported: object) -> None:
    """Update ``counts`` with a ``usage`` object of the Messages format; missing and null counts keep their values."""
    if isinstance(reported, Mapping):
        counts.update({name: count for name, count in reported.items() if count is not None})
