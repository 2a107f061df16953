"""Conversion of error responses to exceptions. No I/O.

The ``error.type`` of a body decides first, the HTTP status second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from claude_code_common.error_types import ERROR_TYPE_BY_STATUS

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
from .field_checks import is_amount

if TYPE_CHECKING:
    from ..models import AgenticTaskResponse

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
_ADVICE: Final[Mapping[type[ClaudeAPIError], str]] = {
    AuthenticationError: "Check CLAUDE_API_KEY or the api_key argument; keys start with sk-proj-.",
    PermissionError: "Check what the key may do with client.get_capabilities(), or use a key of a higher tier.",
    RateLimitError: "Wait before calling again, make fewer calls at once, or use a key of a higher tier.",
    TimeoutError: "Pass a larger timeout, or split the task into smaller ones.",
    CostExceededError: "Raise max_cost or the key's budget, or use a cheaper model.",
    ConflictError: "Use a new idempotency_key for a new request.",
    NotFoundError: "Check the ID, and that base_url points to the server that created it.",
    NotSupportedError: "This server does not support the operation: check base_url and the server's version.",
    OverloadedError: "Try again later.",
    ServerError: "Try again; if the error persists, report it with the request ID.",
    UnexpectedResponseError: "Check that base_url points to a Claude Code API, and any proxy in between.",
}
# Starlette's responses for a path or method that the server does not have: the legacy service lacks many.
_MISSING_ROUTES: Final = ((404, {"detail": "Not Found"}), (405, {"detail": "Method Not Allowed"}))
_NO_ROUTE: Final = {"type": "not_implemented_error", "message": "The server has no such route."}
_MAX_BODY_CHARS: Final = 2000
"""Longest body that an exception keeps."""
_MAX_NODES: Final = 200
"""Most lists and objects in a decoded body that an exception keeps; deep nesting breaks copying and pickling."""
_PROMPT_FIELDS: Final = frozenset({"content", "context", "description", "input", "messages", "prompt"})
_PROMPT: Final = re.compile(rf'("(?:{"|".join(sorted(_PROMPT_FIELDS))})")\s*:\s*"(?:[^"\\]|\\.)*"?')
_KEY: Final = re.compile(r"(sk-proj-|\bBearer )[\w.~+/=-]+")


def is_error_type(value: object) -> bool:
    """Return whether the value is an ``error.type`` of the contract."""
    return isinstance(value, str) and value in _BY_TYPE


def error_class(status_code: int | None, error_type: str | None) -> type[ClaudeAPIError]:
    """Return the exception class for an ``error.type``; for a missing or unknown type, the class for the status."""
    by_type = _BY_TYPE.get(error_type or "") or _BY_TYPE.get(ERROR_TYPE_BY_STATUS.get(status_code or 0, ""))
    if by_type is not None:
        return by_type
    if status_code is None or status_code >= 500:
        return ServerError
    return InvalidRequestError if status_code >= 400 else UnexpectedResponseError


def from_detail(
    detail: Mapping[str, Any],
    *,
    status_code: int | None = None,
    request_id: str | None = None,
    retry_after: float | None = None,
    task_id: str | None = None,
    task: AgenticTaskResponse | None = None,
) -> ClaudeAPIError:
    """Return the exception for an ``error`` object of the API, from a response, a task or an event."""
    error_type = _text(detail.get("type"))
    cls = error_class(status_code, error_type)
    message = _text(detail.get("message")) or f"The server responded with status {status_code} and no message."
    return cls(
        _with_advice(cls, message),
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
    """Return the exception for an unsuccessful response with any body: the API's JSON, ``detail``, HTML or none."""
    body = _load(content)
    detail = _NO_ROUTE if (status_code, body) in _MISSING_ROUTES else _find_detail(body)
    if not 400 <= status_code <= 599 and not detail.get("type"):
        detail = {**detail, "message": f"The server responded with the unexpected status {status_code}."}
    error = from_detail(detail, status_code=status_code, request_id=request_id, retry_after=retry_after)
    error.body = shorten_body(content)
    return error


def shorten_body(content: bytes) -> Any:
    """Return a received body for an exception to keep: small JSON decoded, else the start of the text; None if empty.

    Keys are redacted, and so are fields in which a server may repeat a prompt.
    """
    decoded = _load(content)
    if decoded is None or content.count(b"[") + content.count(b"{") > _MAX_NODES:
        text = content[: _MAX_BODY_CHARS * 4].decode("utf-8", "replace").strip()
        return _PROMPT.sub(r'\1: "…"', _printable(text))[:_MAX_BODY_CHARS] or None
    redacted = _without_prompts(decoded)
    text = json.dumps(redacted, ensure_ascii=False)
    return redacted if len(text) <= _MAX_BODY_CHARS else text[:_MAX_BODY_CHARS]


def _without_prompts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "…" if name in _PROMPT_FIELDS else _without_prompts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_prompts(item) for item in value]
    return _printable(value) if isinstance(value, str) else value


def _printable(text: str) -> str:
    """Return the text without keys and lone surrogates, so that it can be shown and encoded anywhere."""
    return _KEY.sub(r"\1…", text.encode("utf-8", "replace").decode())


def _load(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _find_detail(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        return {}
    error = body.get("error")
    if isinstance(error, dict):
        return error
    # {"detail": …} is FastAPI's form, which the legacy service uses.
    for message in (error, body.get("detail"), body.get("message")):
        if isinstance(message, str) and message:
            return {"message": message, "type": body.get("type")}
    if isinstance(body.get("detail"), list):
        problems = "; ".join(_validation_problem(item) for item in body["detail"])
        return {"message": f"The request is not valid: {problems[:_MAX_BODY_CHARS]}"}
    return {}


def _validation_problem(item: Any) -> str:
    """Return the location and message of one FastAPI validation error, without its ``input``: that may be a prompt."""
    if not isinstance(item, dict):
        return "invalid"
    location = item.get("loc")
    where = ".".join(str(part) for part in location) if isinstance(location, list) else ""
    return ": ".join(part for part in (where, _text(item.get("msg")) or "invalid") if part)


def _with_advice(cls: type[ClaudeAPIError], message: str) -> str:
    advice = _ADVICE.get(cls)
    if advice is None or advice in message:
        return message
    return f"{message.rstrip('. ')}. {advice}"


def _text(value: object) -> str | None:
    return _printable(value) if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    return float(value) if is_amount(value) and isinstance(value, int | float) else None
