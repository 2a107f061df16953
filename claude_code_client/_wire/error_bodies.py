"""Error responses to exceptions: one table of types and statuses, and what of a body an exception may keep. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..errors import (
    AuthenticationError,
    ClaudeAPIError,
    ConflictError,
    CostExceededError,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    OverloadedError,
    PermissionError,
    RateLimitError,
    ServerError,
    TimeoutError,
    UnexpectedResponseError,
)

if TYPE_CHECKING:
    from ..models import AgenticTaskResponse

# The API's error.type decides first, the status second.
_BY_TYPE: Final[Mapping[str, type[ClaudeAPIError]]] = {
    "invalid_request_error": InvalidRequestError,
    "request_too_large": InvalidRequestError,
    "authentication_error": AuthenticationError,
    "permission_error": PermissionError,
    "not_found_error": NotFoundError,
    "timeout_error": TimeoutError,
    "idempotency_error": ConflictError,
    "rate_limit_error": RateLimitError,
    "cost_exceeded_error": CostExceededError,
    "not_implemented_error": NotSupportedError,
    "overloaded_error": OverloadedError,
    "server_error": ServerError,
}
_BY_STATUS: Final[Mapping[int, type[ClaudeAPIError]]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    402: CostExceededError,
    403: PermissionError,
    404: NotFoundError,
    405: InvalidRequestError,
    408: TimeoutError,
    409: ConflictError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    416: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitError,
    501: NotSupportedError,
    503: OverloadedError,
    529: OverloadedError,
}
_ADVICE: Final[Mapping[type[ClaudeAPIError], str]] = {
    AuthenticationError: "Check CLAUDE_API_KEY, or the api_key argument; a key starts with sk-proj-.",
    PermissionError: "Check what the key may do (client.get_capabilities()), or use a key of a higher tier.",
    RateLimitError: "Wait before calling again, send fewer calls at once, or use a key of a higher tier.",
    TimeoutError: "Give it a larger timeout, or a smaller task.",
    CostExceededError: "Raise max_cost or the key's budget, or use a cheaper model.",
    ConflictError: "Use a new idempotency_key for a new request.",
    NotFoundError: "Check the id, and that base_url is the server that knows it.",
    NotSupportedError: "This server does not offer the operation: check base_url and the server's version.",
    OverloadedError: "Try again later.",
    ServerError: "Try again; if it stays, report it with the request id.",
    UnexpectedResponseError: "Check that base_url is a Claude Code API, and what proxies are on the way.",
}
_BODY_LIMIT: Final = 2000
"""Characters of a received body that an exception keeps."""
_NESTING_LIMIT: Final = 200
"""Lists and objects in a body that is kept decoded; what is nested deeply can be neither copied nor pickled."""
_PROMPT_FIELDS: Final = frozenset({"content", "context", "description", "input", "messages", "prompt"})
_PROMPT: Final = re.compile(rf'("(?:{"|".join(sorted(_PROMPT_FIELDS))})")\s*:\s*"(?:[^"\\]|\\.)*"?')
_KEY: Final = re.compile(r"(sk-proj-|\bBearer )[\w.~+/=-]+")


def classify(status_code: int | None, error_type: str | None) -> type[ClaudeAPIError]:
    """The exception for an ``error.type`` and a status, known or not."""
    by_type = _BY_TYPE.get(error_type or "")
    if by_type is not None:
        return by_type
    if status_code is None or status_code >= 500:
        return _BY_STATUS.get(status_code or 0, ServerError)
    return _BY_STATUS.get(status_code, InvalidRequestError if status_code >= 400 else UnexpectedResponseError)


def from_detail(
    detail: Mapping[str, Any],
    *,
    status_code: int | None = None,
    request_id: str | None = None,
    retry_after: float | None = None,
    task_id: str | None = None,
    task: AgenticTaskResponse | None = None,
) -> ClaudeAPIError:
    """The exception for an ``error`` object of the API, as in a task or in an event."""
    error_type = _text(detail.get("type"))
    cls = classify(status_code, error_type)
    message = _text(detail.get("message")) or f"The server answered with status {status_code} and no message."
    return cls(
        _advise(cls, message),
        status_code=status_code,
        error_type=error_type,
        param=_text(detail.get("param")),
        request_id=request_id,
        estimated_cost=_number(detail.get("estimated_cost")),
        retry_after=_number(detail.get("retry_after")) if retry_after is None else retry_after,
        task=task,
        task_id=task.id if task and task_id is None else task_id,
    )


def from_response(
    status_code: int, content: bytes, *, request_id: str | None = None, retry_after: float | None = None
) -> ClaudeAPIError:
    """The exception for an answer that is not a success, whatever its body: typed JSON, ``detail``, HTML, nothing."""
    detail = _detail_of(_load(content))
    if not 400 <= status_code <= 599 and not detail.get("type"):
        detail = {**detail, "message": f"The server answered with the unexpected status {status_code}."}
    error = from_detail(detail, status_code=status_code, request_id=request_id, retry_after=retry_after)
    error.body = shorten_body(content)
    return error


def shorten_body(content: bytes) -> Any:
    """What was received, for an exception to carry: small JSON decoded, else the text's start; None if empty.

    Keys, and fields in which a server may repeat a prompt, are left out.
    """
    decoded = _load(content)
    if decoded is None or content.count(b"[") + content.count(b"{") > _NESTING_LIMIT:
        text = content[: _BODY_LIMIT * 4].decode("utf-8", "replace").strip()
        return _PROMPT.sub(r'\1: "…"', _printable(text))[:_BODY_LIMIT] or None
    harmless = _without_prompts(decoded)
    text = json.dumps(harmless, ensure_ascii=False)
    return harmless if len(text) <= _BODY_LIMIT else text[:_BODY_LIMIT]


def _without_prompts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "…" if name in _PROMPT_FIELDS else _without_prompts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_prompts(item) for item in value]
    return _printable(value) if isinstance(value, str) else value


def _printable(text: str) -> str:
    """The text as anything can show it: without keys, and without halves of surrogate pairs."""
    return _KEY.sub(r"\1…", text.encode("utf-8", "replace").decode())


def _load(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _detail_of(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        return {}
    error = body.get("error")
    if isinstance(error, dict):
        return error
    # {"detail": …} is FastAPI's form, which the service that the contract's paths come from uses.
    for message in (error, body.get("detail"), body.get("message")):
        if isinstance(message, str) and message:
            return {"message": message, "type": body.get("type")}
    if isinstance(body.get("detail"), list):
        complaints = "; ".join(_complaint(item) for item in body["detail"])
        return {"message": f"The request is not valid: {complaints[:_BODY_LIMIT]}"}
    return {}


def _complaint(item: Any) -> str:
    """One of FastAPI's: where, and what is wrong; its ``input`` may be the prompt."""
    if not isinstance(item, dict):
        return "invalid"
    location = item.get("loc")
    where = ".".join(str(part) for part in location) if isinstance(location, list) else ""
    return ": ".join(part for part in (where, _text(item.get("msg")) or "invalid") if part)


def _advise(cls: type[ClaudeAPIError], message: str) -> str:
    advice = _ADVICE.get(cls)
    if advice is None or advice in message:
        return message
    return f"{message.rstrip('. ')}. {advice}"


def _text(value: object) -> str | None:
    return _printable(value) if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
