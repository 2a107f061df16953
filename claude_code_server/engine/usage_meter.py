"""Usage of one task, counted model call by model call while the responses stream. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..domain.pricing import price_usage
from ..domain.usage import Usage, merge_counts, total_usage

_CHARACTERS_PER_TOKEN: Final = 4


class ModelCall:
    """One call of the model, possibly still in progress."""

    def __init__(self, model: str, *, free: bool) -> None:
        self._model = model
        self._free = free
        self._counts: dict[str, Any] = {}
        self._characters = 0
        self._output_reported = False

    def add_event(self, event: Mapping[str, Any]) -> None:
        """Count one streaming event."""
        match event.get("type"):
            case "message_start":
                merge_counts(self._counts, event.get("message", {}).get("usage"))
            case "message_delta":
                self._output_reported = True
                merge_counts(self._counts, event.get("usage"))
            case "content_block_delta":
                delta = event.get("delta", {})
                texts = (delta.get(name) for name in ("text", "thinking", "partial_json"))
                self._characters += sum(len(text) for text in texts if isinstance(text, str))

    def add_message(self, message: Mapping[str, Any]) -> None:
        """Count a response that was not streamed."""
        self._output_reported = True
        merge_counts(self._counts, message.get("usage"))

    @property
    def usage(self) -> Usage:
        """Usage so far. Output that the upstream has not reported yet is estimated from its characters."""
        output = int(self._counts.get("output_tokens") or 0)
        if not self._output_reported:
            output = max(output, self._characters // _CHARACTERS_PER_TOKEN)
        return price_usage(self._model, {**self._counts, "output_tokens": output}, free=self._free).usage


class UsageMeter:
    """Sum of the model calls of one task, including concurrent ones in progress."""

    def __init__(self) -> None:
        self._calls: list[ModelCall] = []

    def start_call(self, model: str, *, free: bool) -> ModelCall:
        """Start counting a call."""
        call = ModelCall(model, free=free)
        self._calls.append(call)
        return call

    @property
    def usage(self) -> Usage:
        return total_usage(call.usage for call in self._calls)
