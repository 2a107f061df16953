"""Completions in the contract's form ↔ Messages requests and replies. Pure."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from claude_code_api import models

from . import catalog
from .engine.base import Spent
from .errors import ApiError, invalid
from .upstream import UpstreamError

_MAX_TOKENS = 4096
_OVERLOADED = (503, 529)


@dataclass(frozen=True, slots=True)
class Asked:
    """A Messages request, and what of the caller's wishes did not go into it."""

    request: Mapping[str, Any]
    warnings: tuple[str, ...]

    @property
    def model(self) -> str:
        return str(self.request["model"])


def messages_request(asked: models.CreateCompletionRequest, default_model: str | None, field: str) -> Asked:
    """``field`` is the wire name of the messages. Raises ApiError 400."""
    turns = [message for message in asked.messages if message.role is not models.Role.SYSTEM]
    if not turns:
        raise invalid("must hold a user or assistant message besides the system ones.", field)
    system = "\n\n".join(message.content for message in asked.messages if message.role is models.Role.SYSTEM)
    wanted = {
        "model": catalog.resolve(asked.model or default_model),
        "max_tokens": int(asked.max_tokens or _MAX_TOKENS),
        "messages": [{"role": str(message.role), "content": message.content} for message in turns],
        "system": system or None,
        "temperature": asked.temperature if isinstance(asked.temperature, int | float) else None,
        "top_p": asked.top_p if isinstance(asked.top_p, int | float) else None,
        "stop_sequences": asked.stop or None,
    }
    request, warnings = catalog.without_refused({name: wanted[name] for name in wanted if wanted[name] is not None})
    return Asked(request, warnings)


def spent(model: str, reply: Mapping[str, Any], *, free: bool) -> tuple[Spent, bool]:
    """What a reply used up, and whether its price is known."""
    usage = reply.get("usage") or {}
    cost = catalog.Cost(0.0, known=True) if free else catalog.cost(model, usage)
    return Spent(catalog.prompt_tokens(usage), int(usage.get("output_tokens") or 0), cost.usd), cost.known


def completion(asked: Asked, reply: Mapping[str, Any], *, free: bool) -> models.CompletionResponse:
    """The contract's reply to a Messages reply."""
    used, known = spent(asked.model, reply, free=free)
    unknown = () if known else (f"No price is known for {asked.model}; cost says 0.",)
    blocks = [block for block in reply.get("content") or () if block.get("type") == "text"]
    return models.CompletionResponse(
        id=f"cmpl_{uuid.uuid4().hex}",
        type_="message",
        role=str(models.Role.ASSISTANT),
        content=[models.TextBlock(type_="text", text=str(block.get("text") or "")) for block in blocks],
        model=str(reply.get("model") or asked.model),
        stop_reason=reply.get("stop_reason"),
        stop_sequence=reply.get("stop_sequence"),
        usage=models.CompletionUsage(
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            total_tokens=used.input_tokens + used.output_tokens,
            cost=used.cost,
        ),
        warnings=[*asked.warnings, *unknown],
    )


def texts(reply: models.CompletionResponse) -> list[str]:
    """The texts of a reply."""
    if isinstance(reply.content, str):
        return [reply.content]
    return [block.text for block in reply.content]


@dataclass(slots=True)
class Assembly:
    """Puts a Messages reply together from its streaming events."""

    _message: dict[str, Any] = field(default_factory=dict)
    _usage: dict[str, Any] = field(default_factory=dict)
    _texts: dict[int, list[str]] = field(default_factory=dict)

    def add(self, event: Mapping[str, Any]) -> str:
        """Take one event; the text that it adds, if any."""
        text = ""
        match event.get("type"):
            case "message_start":
                self._message = dict(event.get("message") or {})
                self._count(self._message.get("usage"))
            case "content_block_start":
                text = str(event.get("content_block", {}).get("text") or "")
                if event.get("content_block", {}).get("type") == "text":
                    self._texts.setdefault(int(event.get("index") or 0), []).append(text)
            case "content_block_delta" if event.get("delta", {}).get("type") == "text_delta":
                text = str(event["delta"].get("text") or "")
                self._texts.setdefault(int(event.get("index") or 0), []).append(text)
            case "message_delta":
                self._message.update(event.get("delta") or {})
                self._count(event.get("usage"))
        return text

    def reply(self) -> dict[str, Any]:
        parts: Sequence[str] = ["".join(self._texts[index]) for index in sorted(self._texts)]
        content = [{"type": "text", "text": part} for part in parts]
        return {**self._message, "content": content, "usage": self._usage}

    def _count(self, usage: Any) -> None:
        if isinstance(usage, Mapping):
            self._usage.update({name: count for name, count in usage.items() if count is not None})


def refusal(error: UpstreamError, upstream: str) -> ApiError:
    """An upstream's error, as the caller of this server is told of it."""
    kind = error.contract_type
    if error.status == 429 or kind == "rate_limit_error":
        return ApiError(429, "rate_limit_error", error.message, retry_after=error.retry_after)
    if error.status in _OVERLOADED or kind == "overloaded_error":
        status = error.status if error.status in _OVERLOADED else 503
        return ApiError(status, "overloaded_error", error.message, retry_after=error.retry_after)
    if error.status in (401, 403):
        advice = "start the server with a valid ANTHROPIC_API_KEY, or with the offline upstream"
        return ApiError(500, "server_error", f"The upstream {upstream} refused the server's key: {advice}.")
    if error.status == 413:
        return ApiError(413, "request_too_large", error.message)
    if error.status in (400, 404, 422):
        return invalid(f"the upstream {upstream} refused the request: {error.message}")
    return ApiError(502, "server_error", f"The upstream {upstream} failed: {error.message}")
