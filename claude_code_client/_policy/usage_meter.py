"""Usage of one client: calls, tokens and cost of what it has requested. No I/O."""

from __future__ import annotations

import threading
from typing import Final

import attrs

from ..models import Usage

_REMEMBERED: Final = 10_000
"""IDs of responses that are not counted a second time."""


@attrs.frozen(kw_only=True)
class UsageTotals:
    """Calls, tokens and cost of one client so far."""

    calls: int = 0
    """Completions and tasks whose usage is known."""
    input_tokens: int = 0
    """Tokens in the prompts."""
    output_tokens: int = 0
    """Tokens in the replies."""
    cost: float = 0.0
    """USD."""

    @property
    def total_tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens


class UsageMeter:
    """Meter of a client's usage, safe to use from several threads."""

    def __init__(self) -> None:
        # Reentrant: a signal handler may make a call too.
        self._lock = threading.RLock()
        self._counted: dict[str, None] = {}
        self._calls = self._input = self._output = 0
        self._cost = 0.0

    def add(self, response_id: str, usage: Usage) -> None:
        """Count a response, unless it was counted before: an idempotency key brings the same response again."""
        with self._lock:
            if response_id in self._counted:
                return
            self._counted[response_id] = None
            if len(self._counted) > _REMEMBERED:
                del self._counted[next(iter(self._counted))]
            self.add_free_call()
            self._input += usage.input_tokens
            self._output += usage.output_tokens
            self._cost += usage.cost

    def add_free_call(self) -> None:
        """Count a call that has cost nothing."""
        with self._lock:
            self._calls += 1

    @property
    def totals(self) -> UsageTotals:
        """Totals so far."""
        with self._lock:
            return UsageTotals(calls=self._calls, input_tokens=self._input, output_tokens=self._output, cost=self._cost)
