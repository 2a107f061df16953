"""How a run ended, from what Claude Code said last, what was asked of it and what the upstream said. Pure."""

import json
import re
from dataclasses import dataclass
from typing import Any

from claude_code_server.engine.base import Order, Status
from claude_code_server.upstream import UpstreamError

_FENCE = re.compile(r"```json[ \t]*\n(?P<body>(?:(?!```).)*)\n[ \t]*```\s*\Z", re.DOTALL)
_BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """What was seen of the end. ``result`` is Claude Code's ResultMessage, if it sent one."""

    result: Any = None
    answer: str = ""
    """The last text that nothing followed."""
    stopped: Status | None = None
    upstream_error: UpstreamError | None = None
    failure: str | None = None
    """Why there is no result, in words."""


def status_and_error(ending: Ending, order: Order) -> tuple[Status, tuple[str, str] | None]:
    """The status of the run and its error, (type, message), in the contract's types."""
    match ending.stopped:
        case "timeout":
            return "timeout", ("timeout_error", f"The task ran past its timeout of {order.timeout:g} s.")
        case "cancelled":
            return "cancelled", ("cancelled_error", "The task was cancelled.")
        case "cost_exceeded":
            limit = f"${order.max_cost:g}"
            return "cost_exceeded", ("cost_exceeded_error", f"The task has spent its max_cost of {limit}.")
        case "failed":
            return "failed", ("server_error", "The server stopped the task before its end.")
    if _succeeded(ending.result):
        return "completed", None
    return "failed", _error(ending)


def summary(ending: Ending) -> str:
    """The final answer of a run that succeeded; of any other, what it had got to."""
    return ((_succeeded(ending.result) and ending.result.result) or ending.answer or "").strip()


def result(text: str) -> dict[str, Any]:
    """The task's result: the text as ``summary``, and the keys of the JSON object that ends it, if any."""
    found = _FENCE.search(text)
    try:
        data = json.loads(found["body"]) if found else {}
    except ValueError:
        data = {}
    return {**(data if isinstance(data, dict) else {}), "summary": text}


def _succeeded(message: Any) -> bool:
    # The subtype alone says "success" for API errors too.
    return (
        message is not None
        and message.subtype == "success"
        and not message.is_error
        and message.terminal_reason in (None, "completed")
    )


def _error(ending: Ending) -> tuple[str, str]:
    if (upstream := ending.upstream_error) is not None:
        return upstream.contract_type, f"The model's server answered {upstream.status}: {upstream.message}"
    if ending.result is None:
        return "server_error", ending.failure or "Claude Code ended without a result."
    said = ending.result.result or "; ".join(ending.result.errors or ()) or ending.result.subtype
    kind = _BY_STATUS.get(ending.result.api_error_status or 0, "server_error")
    return kind, f"Claude Code failed: {said}"
