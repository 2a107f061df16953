"""Outcome of a run: status, error and result, from Claude Code's last message, the cancellation and the upstream."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import attrs

from ..domain.engine_protocol import CancelReason, EndStatus, TaskSpec
from ..upstream.protocol import ERROR_TYPE_BY_STATUS, UpstreamError

_JSON_FENCE: Final = re.compile(r"```json[ \t]*\n(?P<body>(?:(?!```).)*)\n[ \t]*```\s*\Z", re.DOTALL)


@attrs.frozen
class RunEnd:
    """Everything known about the end of a run."""

    message: Any = None
    """Claude Code's ResultMessage; None if it sent none."""
    final_text: str = ""
    """Last text that nothing followed."""
    cancelled: CancelReason | None = None
    upstream_error: UpstreamError | None = None
    failure: str | None = None
    """Reason why there is no ResultMessage."""
    exceeded: str = ""
    """Budget of the key that the next model call would have exceeded; empty if it was the task's own limit."""


def status_and_error(end: RunEnd, spec: TaskSpec) -> tuple[EndStatus, tuple[str, str] | None]:
    """Return the status of the run and its error: error type of the contract and message."""
    match end.cancelled:
        case "timeout":
            return "timeout", ("timeout_error", f"The task exceeded its timeout of {spec.timeout:g} s.")
        case "cancelled":
            return "cancelled", ("cancelled_error", "The task was cancelled.")
        case "cost_exceeded":
            message = f"The next model call would have exceeded {end.exceeded}."
            if not end.exceeded:
                message = f"The task has used up its max_cost of ${spec.max_cost:g}."
            return "cost_exceeded", ("cost_exceeded_error", message)
        case "failed":
            return "failed", ("server_error", "The server cancelled the task before its end.")
    if _succeeded(end.message):
        return "completed", None
    return "failed", _error(end)


def summary(end: RunEnd) -> str:
    """Return the final text of a run; for an unsuccessful run, the last text that it produced."""
    return ((_succeeded(end.message) and end.message.result) or end.final_text or "").strip()


def parse_result(text: str) -> dict[str, Any]:
    """Return the task's result: ``text`` as ``summary``, and the keys of the JSON object at its end, if any."""
    found = _JSON_FENCE.search(text)
    try:
        data = json.loads(found["body"]) if found else {}
    except (ValueError, RecursionError):
        data = {}
    return {**(data if isinstance(data, dict) else {}), "summary": text}


def _succeeded(message: Any) -> bool:
    # The subtype is "success" for API errors too.
    return (
        message is not None
        and message.subtype == "success"
        and not message.is_error
        and message.terminal_reason in (None, "completed")
    )


def _error(end: RunEnd) -> tuple[str, str]:
    if (upstream := end.upstream_error) is not None:
        return upstream.contract_type, f"The model's server responded with status {upstream.status}: {upstream.message}"
    if end.message is None:
        return "server_error", end.failure or "Claude Code ended without a result."
    reason = end.message.result or "; ".join(end.message.errors or ()) or end.message.subtype
    type_ = ERROR_TYPE_BY_STATUS.get(end.message.api_error_status or 0, "server_error")
    return type_, f"Claude Code failed: {reason}"
