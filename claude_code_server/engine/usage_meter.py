"""Usage of one task, counted model call by model call while the responses stream, and what its budget has left. No I/O.

A call in progress counts against the budget with its reservation, which is the most that it may cost. Once it ends,
the usage that the upstream reported replaces the reservation. If the upstream did not report it, the reservation is
charged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

import attrs

from claude_code_common.pricing import ModelPrice, has_count, prompt_tokens

from ..domain.pricing import Need, grant_output, price_usage
from ..domain.usage import NO_USAGE, Usage, merge_counts, total_usage

_CHARACTERS_PER_TOKEN: Final = 4
_MAX_CORRECTION: Final = 2.0
"""Limit on the correction of estimates, so that one odd report does not stop a task."""


class ModelCall:
    """One call of the model, possibly still in progress."""

    def __init__(self, price: ModelPrice, need: Need | Callable[[], Need], max_output: int) -> None:
        """Start counting a call that may produce ``max_output`` tokens.

        ``need`` may be a function, which is called if the need matters: the estimate takes time.
        """
        self.max_output = max_output
        self._price = price
        self._given_need = need
        self._counts: dict[str, Any] = {}
        self._characters = 0
        self._output_reported = False
        self._arrived = False
        self._ended = False
        self._refused = False

    def add_event(self, event: Mapping[str, Any]) -> None:
        """Count one streaming event."""
        match event.get("type"):
            case "message_start":
                message = event.get("message")
                merge_counts(self._counts, message.get("usage") if isinstance(message, Mapping) else None)
            case "message_delta":
                usage = event.get("usage")
                self._output_reported = isinstance(usage, Mapping) and has_count(usage, "output_tokens")
                merge_counts(self._counts, usage)
            case "content_block_delta":
                delta = event.get("delta")
                parts = delta if isinstance(delta, Mapping) else {}
                texts = [parts.get(name) for name in ("text", "thinking", "partial_json")]
                self._characters += sum(len(text) for text in texts if isinstance(text, str))
            case "message_stop":
                self._arrived = True

    def add_message(self, message: Mapping[str, Any]) -> None:
        """Count a response that was not streamed."""
        self._arrived = True
        merge_counts(self._counts, message.get("usage"))
        self._output_reported = has_count(self._counts, "output_tokens")
        if self._output_reported and self._prompt_reported:
            return
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            parts = block if isinstance(block, Mapping) else {}
            texts = [parts.get(name) for name in ("text", "thinking")]
            self._characters += sum(len(text) for text in texts if isinstance(text, str))

    def end(self, *, refused: bool = False) -> None:
        """End the call; ``refused`` if the upstream has not run it, and charges nothing. Only the first end counts."""
        self._refused = self._refused or (refused and not self._ended)
        self._ended = True

    @property
    def in_progress(self) -> bool:
        return not self._ended

    @property
    def reservation(self) -> Usage:
        """Usage to charge if nothing more becomes known about the call."""
        return Usage(self._need.prompt, self.max_output, self._reserved)

    @property
    def usage(self) -> Usage:
        """Usage so far. Output that the upstream has not reported yet is estimated from its characters.

        If the call ends before its response has arrived, all the output counts that it might have.
        """
        if self._refused:
            return NO_USAGE
        reported = price_usage(self._price, self._counts)
        if self._output_reported and self._prompt_reported:
            return reported
        output = max(reported.output_tokens, self._characters // _CHARACTERS_PER_TOKEN)
        if not self._ended:
            return price_usage(self._price, {**self._counts, "output_tokens": output})
        prompt = reported.input_tokens if self._prompt_reported else self._need.prompt
        if not self._arrived:
            output = max(reported.output_tokens, self.max_output)
        return Usage(prompt, output, self._reserved)

    @property
    def underestimate(self) -> float:
        """Factor by which the prompt was longer than estimated; 1 if it was not."""
        if self._refused or not self._prompt_reported:
            return 1.0
        return max(1.0, prompt_tokens(self._counts) / max(1, self._need.prompt))

    @property
    def committed(self) -> float:
        """Amount in USD that the call takes from the budget: its reservation while in progress, then its cost."""
        return max(self._reserved, self.usage.cost) if self.in_progress else self.usage.cost

    @cached_property
    def _need(self) -> Need:
        return self._given_need if isinstance(self._given_need, Need) else self._given_need()

    @property
    def _prompt_reported(self) -> bool:
        return has_count(self._counts, "input_tokens")

    @property
    def _reserved(self) -> float:
        if self._prompt_reported:
            searches = self._need.searches * self._price.web_search
            return searches + self._price.cost({**self._counts, "output_tokens": self.max_output})
        return self._need.max_cost(self._price, self.max_output)


class UsageMeter:
    """Sum of the model calls of one task with a budget of ``max_cost`` USD, including concurrent ones in progress."""

    def __init__(self, max_cost: float) -> None:
        self._max_cost = max_cost
        self._in_progress: list[ModelCall] = []
        self._ended = NO_USAGE
        self._correction = 1.0
        """Factor on estimated prompts, learned from the calls so far."""

    def start_call(
        self, price: ModelPrice, need: Need, most: float = math.inf, *, others_busy: bool = False
    ) -> ModelCall | None:
        """Reserve the most that a call may cost and start counting it; None if the budget cannot pay for it now.

        ``most`` is what the call may cost beside the task's own budget, in USD; ``others_busy`` says that calls of
        other tasks hold a part of that.
        """
        need, left = self._corrected(need), self._left()
        granted = grant_output(price, min(left, most), need, alone=not (self._in_progress or others_busy))
        if granted == 0:
            return None
        call = ModelCall(price, need, granted)
        self._in_progress.append(call)
        return call

    def can_afford(self, price: ModelPrice, need: Need) -> bool:
        """Return whether the task's own budget pays for a call once no other is in progress."""
        return grant_output(price, self._left(), self._corrected(need), alone=True) > 0

    def _corrected(self, need: Need) -> Need:
        self._collect_ended()
        return attrs.evolve(need, prompt=int(need.prompt * self._correction))

    def _left(self) -> float:
        return self._max_cost - self._ended.cost - sum(call.committed for call in self._in_progress)

    @property
    def busy(self) -> bool:
        """True if a call is in progress, whose end may leave money for others."""
        return any(call.in_progress for call in self._in_progress)

    @property
    def usage(self) -> Usage:
        self._collect_ended()
        return total_usage([self._ended, *(call.usage for call in self._in_progress)])

    @property
    def reserved(self) -> float:
        """Most in USD that the calls in progress may add to the cost."""
        return sum(call.committed - call.usage.cost for call in self._in_progress)

    def end_all(self) -> None:
        """End all calls in progress, at the most that they may cost."""
        for call in self._in_progress:
            call.end()

    def _collect_ended(self) -> None:
        ended = [call for call in self._in_progress if not call.in_progress]
        self._in_progress = [call for call in self._in_progress if call.in_progress]
        self._ended = total_usage([self._ended, *(call.usage for call in ended)])
        for call in ended:
            self._correction = min(_MAX_CORRECTION, max(self._correction, call.underestimate * self._correction))
