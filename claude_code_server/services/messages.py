"""Translation between completions of the contract and the Messages format. No I/O."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
from claude_code_api import models

from ..domain.errors import ApiError, invalid_request
from ..domain.model_catalog import resolve_model, without_unsupported_parameters
from ..domain.pricing import price_usage
from ..domain.usage import merge_counts
from ..upstream.protocol import UpstreamError

_MAX_TOKENS: Final = 4096
_OVERLOADED: Final = (503, 529)


@attrs.frozen
class MessagesRequest:
    """A Messages request made from a completion request."""

    body: Mapping[str, Any]
    warnings: tuple[str, ...]
    """Parameters of the completion request that the body leaves out."""

    @property
    def model(self) -> str:
        return str(self.body["model"])


def to_messages_request(
    request: models.CreateCompletionRequest, default_model: str | None, messages_field: str
) -> MessagesRequest:
    """Translate a completion request. ``messages_field`` is the JSON name of its messages. Raise ApiError 400."""
    turns = [message for message in request.messages if message.role is not models.Role.SYSTEM]
    if not turns:
        raise invalid_request("must contain a message that is not a system message.", messages_field)
    system = "\n\n".join(message.content for message in request.messages if message.role is models.Role.SYSTEM)
    parameters = {
        "model": resolve_model(request.model or default_model),
        "max_tokens": int(request.max_tokens or _MAX_TOKENS),
        "messages": [{"role": str(message.role), "content": message.content} for message in turns],
        "system": system or None,
        "temperature": request.temperature if isinstance(request.temperature, int | float) else None,
        "top_p": request.top_p if isinstance(request.top_p, int | float) else None,
        "stop_sequences": request.stop or None,
    }
    present = {name: value for name, value in parameters.items() if value is not None}
    return MessagesRequest(*without_unsupported_parameters(present))


def to_completion(request: MessagesRequest, message: Mapping[str, Any], *, free: bool) -> models.CompletionResponse:
    """Translate a Messages response. ``free`` is for upstreams that charge nothing."""
    priced = price_usage(request.model, message.get("usage") or {}, free=free)
    usage = priced.usage
    unpriced = () if priced.price_known else (f"No list price is known for {request.model}; its cost counts as 0.",)
    blocks = [block for block in message.get("content") or () if block.get("type") == "text"]
    return models.CompletionResponse(
        id=f"cmpl_{uuid.uuid4().hex}",
        type_="message",
        role=str(models.Role.ASSISTANT),
        content=[models.TextBlock(type_="text", text=str(block.get("text") or "")) for block in blocks],
        model=str(message.get("model") or request.model),
        stop_reason=message.get("stop_reason"),
        stop_sequence=message.get("stop_sequence"),
        usage=models.CompletionUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
            cost=usage.cost,
        ),
        warnings=[*request.warnings, *unpriced],
    )


def completion_texts(completion: models.CompletionResponse) -> list[str]:
    """Return the texts of a completion."""
    if isinstance(completion.content, str):
        return [completion.content]
    return [block.text for block in completion.content]


@attrs.define
class MessageAssembler:
    """Assembles a Messages response from its streaming events."""

    _message: dict[str, Any] = attrs.field(factory=dict, init=False)
    _usage: dict[str, Any] = attrs.field(factory=dict, init=False)
    _texts: dict[int, list[str]] = attrs.field(factory=dict, init=False)

    def add_event(self, event: Mapping[str, Any]) -> str:
        """Add one event and return the text in it; empty for events without text."""
        text = ""
        match event.get("type"):
            case "message_start":
                self._message = dict(event.get("message") or {})
                merge_counts(self._usage, self._message.get("usage"))
            case "content_block_start":
                text = str(event.get("content_block", {}).get("text") or "")
                if event.get("content_block", {}).get("type") == "text":
                    self._texts.setdefault(int(event.get("index") or 0), []).append(text)
            case "content_block_delta" if event.get("delta", {}).get("type") == "text_delta":
                text = str(event["delta"].get("text") or "")
                self._texts.setdefault(int(event.get("index") or 0), []).append(text)
            case "message_delta":
                self._message.update(event.get("delta") or {})
                merge_counts(self._usage, event.get("usage"))
        return text

    def message(self) -> dict[str, Any]:
        """Return the response, with its text blocks only."""
        texts: Sequence[str] = ["".join(self._texts[index]) for index in sorted(self._texts)]
        content = [{"type": "text", "text": text} for text in texts]
        return {**self._message, "content": content, "usage": self._usage}


def to_api_error(error: UpstreamError, upstream: str) -> ApiError:
    """Translate an upstream's error for the client of this server. ``upstream`` is the upstream's name."""
    type_ = error.contract_type
    if error.status == 429 or type_ == "rate_limit_error":
        return ApiError(429, "rate_limit_error", error.message, retry_after=error.retry_after)
    if error.status in _OVERLOADED or type_ == "overloaded_error":
        status = error.status if error.status in _OVERLOADED else 503
        return ApiError(status, "overloaded_error", error.message, retry_after=error.retry_after)
    if error.status in (401, 403):
        advice = "start the server with a valid ANTHROPIC_API_KEY, or with the offline upstream"
        return ApiError(500, "server_error", f"The upstream {upstream} refused the server's key: {advice}.")
    if error.status == 413:
        return ApiError(413, "request_too_large", error.message)
    if error.status in (400, 404, 422):
        return invalid_request(f"The upstream {upstream} refused the request: {error.message}")
    return ApiError(502, "server_error", f"The upstream {upstream} failed: {error.message}")
