"""Translation between completions of the contract and the Messages format. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
from claude_code_api import models

from ..contract.operations import Operation
from ..domain.errors import ApiError, invalid_request
from ..domain.model_catalog import Tariff, UnknownModelError
from ..domain.names import new_id
from ..domain.usage import Usage, merge_counts
from ..upstream.protocol import UpstreamError

_MAX_TOKENS: Final = 4096
_OVERLOADED: Final = (503, 529)
NO_RETRY: Final[Mapping[str, str]] = {"x-should-retry": "false"}
"""Headers of an error for which the upstream may charge: a client must not repeat the request by itself."""


@attrs.frozen
class MessagesRequest:
    """A Messages request made from a completion request."""

    body: Mapping[str, Any]
    warnings: tuple[str, ...]
    """Parameters of the completion request that the body leaves out."""

    @property
    def model(self) -> str:
        return str(self.body["model"])


def priced_model(name: str | None, default: str | None, tariff: Tariff, model_field: str) -> str:
    """Return the ID of a requested model. Raise ApiError 400, with the field's name, if its price is not known."""
    model = tariff.catalog.resolve(name, default)
    try:
        tariff.price(model)
    except UnknownModelError as error:
        raise invalid_request(str(error), model_field) from None
    return model


def to_messages_request(
    request: models.CreateCompletionRequest,
    operation: Operation,
    tariff: Tariff,
    choose_model: Callable[[str | None, str], str],
) -> MessagesRequest:
    """Translate a completion request. Raise ApiError with the name that the field has in ``operation``.

    ``choose_model`` returns the ID of a requested model, if any; its second argument is the name of the field.
    """
    messages_field = operation.wire_name("messages")
    turns = [message for message in request.messages if message.role is not models.Role.SYSTEM]
    if not turns:
        raise invalid_request("must contain a message that is not a system message.", messages_field)
    system = "\n\n".join(message.content for message in request.messages if message.role is models.Role.SYSTEM)
    parameters = {
        "model": choose_model(request.model or None, operation.wire_name("model")),
        "max_tokens": int(request.max_tokens or _MAX_TOKENS),
        "messages": [{"role": str(message.role), "content": message.content} for message in turns],
        "system": system or None,
        "temperature": request.temperature if isinstance(request.temperature, int | float) else None,
        "top_p": request.top_p if isinstance(request.top_p, int | float) else None,
        "stop_sequences": request.stop or None,
    }
    present = {name: value for name, value in parameters.items() if value is not None}
    return MessagesRequest(*tariff.catalog.without_unsupported_parameters(present))


def to_completion(
    request: MessagesRequest, message: Mapping[str, Any], usage: Usage, *, price_known: bool
) -> models.CompletionResponse:
    """Translate a Messages response whose shape has been checked."""
    unpriced = () if price_known else (f"No list price is known for {request.model}; its cost counts as 0.",)
    blocks = [block for block in message["content"] if block.get("type") == "text"]
    return models.CompletionResponse(
        id=new_id("cmpl"),
        type_="message",
        role=str(models.Role.ASSISTANT),
        content=[models.TextBlock(type_="text", text=str(block.get("text") or "")) for block in blocks],
        model=str(message.get("model") or request.model),
        stop_reason=_text(message.get("stop_reason")),
        stop_sequence=_text(message.get("stop_sequence")),
        usage=models.CompletionUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
            cost=usage.cost,
        ),
        warnings=[*request.warnings, *unpriced],
    )


def is_message(message: Mapping[str, Any]) -> bool:
    """Return whether a Messages response has the shape of one."""
    content = message.get("content")
    return isinstance(content, list) and all(isinstance(block, Mapping) for block in content)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


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
                self._message = dict(_object(event.get("message")))
                merge_counts(self._usage, self._message.get("usage"))
            case "content_block_start":
                block = _object(event.get("content_block"))
                if block.get("type") == "text":
                    text = self._add_text(event, block)
            case "content_block_delta":
                delta = _object(event.get("delta"))
                if delta.get("type") == "text_delta":
                    text = self._add_text(event, delta)
            case "message_delta":
                self._message.update(_object(event.get("delta")))
                merge_counts(self._usage, event.get("usage"))
        return text

    def _add_text(self, event: Mapping[str, Any], part: Mapping[str, Any]) -> str:
        text, index = str(part.get("text") or ""), event.get("index")
        self._texts.setdefault(index if isinstance(index, int) else 0, []).append(text)
        return text

    def message(self) -> dict[str, Any]:
        """Return the response, with its text blocks only."""
        texts: Sequence[str] = ["".join(self._texts[index]) for index in sorted(self._texts)]
        content = [{"type": "text", "text": text} for text in texts]
        return {**self._message, "content": content, "usage": self._usage}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def to_api_error(error: UpstreamError, upstream: str) -> ApiError:
    """Translate an upstream's error for the client of this server. ``upstream`` is the upstream's name."""
    type_ = error.contract_type
    if error.status == 429 or type_ == "rate_limit_error":
        return ApiError(429, "rate_limit_error", error.message, retry_after=error.retry_after, headers=_headers(error))
    if error.status in _OVERLOADED or type_ == "overloaded_error":
        status = error.status if error.status in _OVERLOADED else 503
        return ApiError(
            status, "overloaded_error", error.message, retry_after=error.retry_after, headers=_headers(error)
        )
    if error.status in (401, 403):
        advice = "start the server with a valid ANTHROPIC_API_KEY, or with the offline upstream"
        return ApiError(500, "server_error", f"The upstream {upstream} refused the server's key: {advice}.")
    if error.status == 413:
        return ApiError(413, "request_too_large", error.message)
    if error.status in (400, 404, 422):
        return invalid_request(f"The upstream {upstream} refused the request: {error.message}")
    return ApiError(502, "server_error", f"The upstream {upstream} failed: {error.message}", headers=_headers(error))


def _headers(error: UpstreamError) -> Mapping[str, str]:
    return NO_RETRY if error.may_be_billed else {}
