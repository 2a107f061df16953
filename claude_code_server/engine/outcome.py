"""Outcome of a run: status, error and result, from Claude Code's last message, the cancellation and the upstream."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import attrs

from ..contract.result_schema import result_problem
from ..domain.engine_protocol import CancelReason, EndStatus, TaskSpec
from ..upstream.protocol import ERROR_TYPE_BY_STATUS, UpstreamError

_EXHAUSTED: Final = "structured_output_retry_exhausted"
"""Reason for which Claude Code ends a run whose model called the tool for structured results in vain."""
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


def structured_result(end: RunEnd, spec: TaskSpec, cost: float) -> tuple[dict[str, Any], tuple[str, str] | None]:
    """Return the result of a run with a ``result_schema``, and an error if it does not conform. Blocking.

    An unsuccessful run has no other result than its last text.
    """
    text = end.final_text.strip()
    if spec.result_schema is None or not _succeeded(end.message):
        if end.message is None or end.message.terminal_reason != _EXHAUSTED:
            return {"summary": text}, None
        return {"summary": text}, _nonconforming("; ".join(end.message.errors or ()), cost)
    result = end.message.structured_output
    if not isinstance(result, dict):
        return {"summary": summary(end)}, _nonconforming("the model gave no structured result", cost)
    if (problem := result_problem(spec.result_schema, result)) is not None:
        return {"summary": text}, _nonconforming(f"{problem.path or 'it'} {problem.message}", cost)
    result = {"summary": text or summary(end), **result}
    if not isinstance(result["summary"], str):
        return {"summary": text}, _nonconforming("its summary is not a string", cost)
    return result, None


def _nonconforming(reason: str, cost: float) -> tuple[str, str]:
    return "server_error", f"The result does not conform to result_schema: {reason}. The task cost ${cost:.6f}."


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
