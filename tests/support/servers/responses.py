"""Response bodies of the API for scripted servers."""

from __future__ import annotations

import json
from typing import Any

from werkzeug import Response

COMPLETION: dict[str, Any] = {
    "id": "cmpl_1",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "Python is "}, {"type": "text", "text": "a language."}],
    "model": "claude-sonnet-5-5",
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17, "cost": 0.25},
    "warnings": ["no temperature"],
}


def task(status: str = "completed", **fields: Any) -> dict[str, Any]:
    """Return a task."""
    done = status not in ("pending", "running")
    return {
        "id": "task_1",
        "status": status,
        "description": "Count",
        "result": {"summary": "3 files."} if done else {},
        "execution_log": [{"timestamp": "2026-11-22T12:00:00.000Z", "action": "tool_call", "tool": "Bash"}],
        "artifacts": [],
        "usage": {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10, "total_cost": 0.5},
        "error": None,
        "created_at": "2026-11-22T11:59:59.000Z",
        "completed_at": "2026-11-22T12:00:01.000Z" if done else None,
        **fields,
    }


def health() -> dict[str, Any]:
    """Return the health of a server that keeps the contract."""
    return {"status": "ok", "version": "1.0.0", "engine": "claude-code", "spec_version": "1.0.0"}


def error(type: str, message: str = "No.", **fields: Any) -> dict[str, Any]:
    """Return an error body."""
    return {"error": {"type": type, "message": message, **fields}, "request_id": "req_1"}


def event(number: int, type: str, **fields: Any) -> bytes:
    """Return one event of a task's stream, encoded."""
    data = {"type": type, "timestamp": "2026-11-22T12:00:00.000Z", "content": "…", **fields}
    return f"id: {number}\nevent: {type}\ndata: {json.dumps(data)}\n\n".encode()


def result_event(number: int) -> bytes:
    """Return a terminal event, encoded."""
    usage = {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10, "total_cost": 0.5}
    return event(
        number,
        "result",
        status="completed",
        summary="3 files.",
        result={"summary": "3 files."},
        artifacts=[],
        usage=usage,
    )


def event_stream(*chunks: bytes) -> Response:
    """Return an event stream for pytest-httpserver, which ends after its last chunk."""
    return Response(iter(chunks), mimetype="text/event-stream")
