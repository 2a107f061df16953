"""HTTP client of asynchronous operations: requests of one client on one event loop's connections."""

from __future__ import annotations

import httpx

from .async_transport import AsyncRetryTransport
from .request_builder import RequestBuilder


class AsyncHttp:
    """Sends requests. There is no httpx client in between: of what that adds, operations need nothing."""

    def __init__(self, requests: RequestBuilder, transport: AsyncRetryTransport) -> None:
        self.requests = requests
        self.transport = transport

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response, a success; its body is read unless the request is for a stream."""
        response = await self.transport.handle_async_request(request)
        response.request = request
        return response
