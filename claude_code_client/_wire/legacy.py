"""Bodies of the older service that the contract's paths come from, put into the contract's form. No I/O.

It answers as the contract says but for what stands here; a body that is in the contract's form stays as it is.
"""

from __future__ import annotations

from typing import Any

_TASK_USAGE: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "total_cost": 0.0}
_ARTIFACT = {"id": "", "type": "file", "size_bytes": 0, "sha256": "", "created_at": ""}
_STEP = {"timestamp": "", "action": ""}


def task(body: Any) -> Any:
    """A task: ``task_id`` for ``id``, no ``created_at``, a ``usage`` of the cost alone or null, nulls for lists."""
    if not isinstance(body, dict) or not ("id" in body or "task_id" in body):
        return body
    known = {name: value for name, value in body.items() if name != "task_id"} if "id" not in body else dict(body)
    known.setdefault("id", body.get("task_id"))
    known["created_at"] = body.get("created_at") or ""
    known["result"] = _result(body.get("result"))
    known["execution_log"] = [_filled(_STEP, step) for step in body.get("execution_log") or []]
    known["artifacts"] = [_filled(_ARTIFACT, artifact) for artifact in body.get("artifacts") or []]
    known["usage"] = _with_total(_filled(_TASK_USAGE, body.get("usage") or {}))
    if isinstance(body.get("error"), str):
        known["error"] = {"type": "", "message": body["error"]}
    return known


def task_list(body: Any) -> Any:
    """A page of tasks: a bare list, or one without a cursor."""
    page = {"data": body} if isinstance(body, list) else body
    tasks = page.get("data") if isinstance(page, dict) else None
    return {"next_cursor": None, **page, "data": [task(item) for item in tasks]} if isinstance(tasks, list) else page


def completion(body: Any) -> Any:
    """A completion: the ``cost`` beside ``usage`` instead of inside, no total."""
    if not isinstance(body, dict) or "content" not in body:
        return body
    usage = body.get("usage")
    if not isinstance(usage, dict | None):
        return body
    counts: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "cost": 0.0}
    known = {"id": "", **body}
    if isinstance(body.get("cost"), int | float) and "cost" not in (usage or {}):
        counts["cost"] = known.pop("cost")
    known["usage"] = _with_total(_filled(counts, usage or {}))
    return known


def _result(result: Any) -> Any:
    if result is None:
        return {}
    return {"summary": result} if isinstance(result, str) else result


def _filled(defaults: dict[str, Any], value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {**defaults, **{name: item for name, item in value.items() if item is not None or name not in defaults}}


def _with_total(usage: Any) -> Any:
    if isinstance(usage, dict) and not usage.get("total_tokens"):
        return {**usage, "total_tokens": usage["input_tokens"] + usage["output_tokens"]}
    return usage
