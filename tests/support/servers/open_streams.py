"""Responses of the API with streams that stay open."""

from __future__ import annotations

from typing import Any

from support.servers import raw_http, responses

DELTA = b'data: {"type": "text_delta", "text": "a"}\n\n'


def reply(request: raw_http.Request) -> Any:
    """Respond as the API; streams stay open after their second event."""
    match request.method, request.path:
        case "POST", "/v1/task":
            return raw_http.response(202, responses.task("pending"))
        case "POST", "/v1/chat/completions":
            return raw_http.response(200, responses.COMPLETION)
        case "POST", "/v1/chat/completions/stream":
            return raw_http.event_stream(DELTA, DELTA, end=False)
        case "GET", "/v1/task/task_1/events":
            return raw_http.event_stream(responses.event(1, "thinking"), responses.event(2, "thinking"), end=False)
        case "GET", "/v1/task":
            return raw_http.response(200, {"data": [responses.task(), responses.task()], "next_cursor": None})
        case "POST", "/v1/task/task_1/cancel":
            return raw_http.response(200, responses.task("cancelled"))
        case _:
            return raw_http.response(404, responses.error("not_found_error"))
