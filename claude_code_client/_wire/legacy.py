"""Conversion of response bodies of the legacy service to the contract's form. No I/O.

The contract's paths come from this service. Its responses follow the contract except where these functions convert
them. Bodies that already follow the contract stay as they are.
"""

from __future__ import annotations

from typing import Any, Final

_TASK_USAGE: Final[dict[str, Any]] = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "total_cost": 0.0}
_COMPLETION_USAGE: Final[dict[str, Any]] = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "cost": 0.0}
_ARTIFACT: Final[dict[str, Any]] = {"id": "", "type": "file", "size_bytes": 0, "sha256": "", "created_at": ""}
_STEP: Final[dict[str, Any]] = {"timestamp": "", "action": ""}


def task(body: Any) -> Any:
    """Convert a task.

    The legacy form has ``task_id`` for ``id``, no ``created_at``, a ``usage`` that is null or has the cost only, and
    null for empty lists.
    """
    if not isinstance(body, dict) or not ("id" in body or "task_id" in body):
        return body
    converted = dict(body) if "id" in body else {name: value for name, value in body.items() if name != "task_id"}
    converted.setdefault("id", body.get("task_id"))
    converted["created_at"] = body.get("created_at") or ""
    converted["result"] = _result(body.get("result"))
    converted["execution_log"] = [_with_defaults(_STEP, step) for step in body.get("execution_log") or []]
    converted["artifacts"] = [_with_defaults(_ARTIFACT, artifact) for artifact in body.get("artifacts") or []]
    converted["usage"] = _with_total(_with_defaults(_TASK_USAGE, body.get("usage") or {}))
    if isinstance(body.get("error"), str):
        converted["error"] = {"type": "", "message": body["error"]}
    return converted


def task_list(body: Any) -> Any:
    """Convert a page of tasks. The legacy form is a bare list, or has no cursor."""
    page = {"data": body} if isinstance(body, list) else body
    tasks = page.get("data") if isinstance(page, dict) else None
    return {"next_cursor": None, **page, "data": [task(item) for item in tasks]} if isinstance(tasks, list) else page


def completion(body: Any) -> Any:
    """Convert a completion. The legacy form has the ``cost`` next to ``usage`` instead of inside, and no total."""
    if not isinstance(body, dict) or "content" not in body:
        return body
    usage = body.get("usage")
    if not isinstance(usage, dict | None):
        return body
    if usage and "id" in body and None not in map(usage.get, _COMPLETION_USAGE) and usage["total_tokens"]:
        return body
    defaults = _COMPLETION_USAGE
    converted = {"id": "", **body}
    if isinstance(body.get("cost"), int | float) and "cost" not in (usage or {}):
        defaults = {**defaults, "cost": converted.pop("cost")}
    converted["usage"] = _with_total(_with_defaults(defaults, usage or {}))
    return converted


def _result(result: Any) -> Any:
    if result is None:
        return {}
    return {"summary": result} if isinstance(result, str) else result


def _with_defaults(defaults: dict[str, Any], value: Any) -> Any:
    """Return ``value`` with the defaults in place of missing and null fields."""
    if not isinstance(value, dict):
        return value
    return {**defaults, **{name: item for name, item in value.items() if item is not None or name not in defaults}}


def _with_total(usage: Any) -> Any:
    if isinstance(usage, dict) and not usage.get("total_tokens"):
        return {**usage, "total_tokens": usage["input_tokens"] + usage["output_tokens"]}
    return usage
