"""Scripted responses of pytest-httpserver."""

from __future__ import annotations

import json
import re
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response


def respond(server: HTTPServer, *scripted: Any) -> list[Request]:
    """Respond to requests in turn; return the list that records them."""
    queue, requests = list(scripted), []

    def handle(request: Request) -> Response:
        request.get_data()
        requests.append(request)
        body = queue.pop(0)
        if isinstance(body, Response):
            return body
        parts: tuple[Any, ...] = body if isinstance(body, tuple) else (200, body)
        status, body, *headers = parts
        return Response(json.dumps(body), status, headers[0] if headers else None, mimetype="application/json")

    server.expect_request(re.compile(".*")).respond_with_handler(handle)
    return requests
