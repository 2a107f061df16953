"""HTTP client of synchronous operations: requests of one client on one process's connections."""

from __future__ import annotations

import httpx

from .request_builder import RequestBuilder
from .sync_transport import SyncRetryTransport


class SyncHttp:
    """Sends requests. There is no httpx client in between: of what that adds, operations need nothing."""

    def __init__(self, requests: RequestBuilder, transport: SyncRetryTransport) -> None:
        self.requests = requests
        self.transport = transport

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response, a success; its body is read unless the request is for a stream."""
        response = self.transport.handle_request(request)
        response.request = request
        return response
