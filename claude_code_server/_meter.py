"""What a task has used so far, counted call by call. Pure."""

from collections.abc import Mapping
from typing import Any

from claude_code_server import catalog
from claude_code_server.engine.base import Spent

_CHARACTERS_A_TOKEN = 4


class Call:
    """One call to the model, as far as it has come."""

    def __init__(self, model: str, *, free: bool) -> None:
        self._model = model
        self._free = free
        self._usage: dict[str, Any] = {}
        self._characters = 0
        self._told = False

    def see(self, event: Mapping[str, Any]) -> None:
        """Count one streaming event."""
        match event.get("type"):
            case "message_start":
                self._take(event.get("message", {}).get("usage"))
            case "message_delta":
                self._told = True
                self._take(event.get("usage"))
            case "content_block_delta":
                delta = event.get("delta", {})
                texts = (delta.get(name) for name in ("text", "thinking", "partial_json"))
                self._characters += sum(len(text) for text in texts if isinstance(text, str))

    def see_whole(self, message: Mapping[str, Any]) -> None:
        """Count a reply that did not stream."""
        self._told = True
        self._take(message.get("usage"))

    def _take(self, usage: Any) -> None:
        if isinstance(usage, Mapping):
            self._usage.update({key: value for key, value in usage.items() if value is not None})

    @property
    def spent(self) -> Spent:
        """A stream that has not told its output yet counts for what has been seen of it."""
        output = int(self._usage.get("output_tokens") or 0)
        if not self._told:
            output = max(output, self._characters // _CHARACTERS_A_TOKEN)
        usage = {**self._usage, "output_tokens": output}
        usd = 0.0 if self._free else catalog.cost(self._model, usage).usd
        return Spent(catalog.prompt_tokens(usage), output, usd)


class Meter:
    """Adds up the calls of one task, those under way included; several may run at once."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    def start(self, model: str, *, free: bool) -> Call:
        call = Call(model, free=free)
        self._calls.append(call)
        return call

    @property
    def spent(self) -> Spent:
        parts = [call.spent for call in self._calls]
        return Spent(
            sum(part.input_tokens for part in parts),
            sum(part.output_tokens for part in parts),
            sum(part.cost for part in parts),
        )
