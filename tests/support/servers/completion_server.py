"""Server of completions on bare sockets that keeps idempotency keys, counts its runs, and can be slow or limited."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from support.servers import raw_http, responses
from support.servers.raw_http import Request

PRICES: Final = {
    "id": "claude-haiku-5-5",
    "alias": "haiku",
    "input_price": 0.0,
    "output_price": 200.0,
    "context_window": 200_000,
    "max_output_tokens": 1000,
    "default": True,
}
"""With these prices, a reply of 1000 tokens costs 0.20 USD."""
Script = Callable[[str, int], Iterable[bytes] | None]
"""Takes a prompt and the number of its request, from 1; returns what to send instead of the reply, or None."""


@dataclass
class RequestLimit:
    """Limit on the requests in a window of time."""

    requests: int
    seconds: float
    began: float = 0.0
    used: int = 0
    windows: list[float] = field(default_factory=list)
    """Beginning of each window."""
    refused: list[int] = field(default_factory=list)
    """Window of each refused request, from 1."""

    def take(self, now: float) -> tuple[bool, dict[str, str]]:
        """Count a request; return whether it is allowed, and the headers of its response."""
        if now >= self.began + self.seconds:
            self.began, self.used = now, 0
            self.windows.append(now)
        allowed = self.used < self.requests
        self.used += allowed
        if not allowed:
            self.refused.append(len(self.windows))
        left = f"{self.began + self.seconds - now:.3f}"
        headers = {
            "X_RateLimit_Limit": str(self.requests),
            "X_RateLimit_Remaining": str(self.requests - self.used),
            "X_RateLimit_Reset": left,
        }
        return allowed, headers if allowed else {**headers, "Retry_After": left}


@dataclass
class CompletionServer:
    """State of the server. It responds to a prompt with the prompt, and with the same response to the same key."""

    script: Script = lambda prompt, number: None
    cost: Callable[[str], float] = lambda prompt: 0.0
    latency: Callable[[int], float] = lambda in_flight: 0.0
    """Seconds, by the requests in progress."""
    lost: Callable[[str, int], bool] = lambda prompt, number: False
    """Takes a prompt and the number of its request; returns whether the response is lost after the run."""
    limit: RequestLimit | None = None
    limit_headers: str = "always"
    """Or ``"refused"``: only with status 429."""
    prices: dict[str, Any] | None = None
    health: dict[str, Any] = field(default_factory=responses.health)
    base_url: str = ""
    connections: set[int] = field(default_factory=set)
    """Connections that completions came over."""
    runs: Counter[str] = field(default_factory=Counter)
    """Runs of each prompt: requests with a new key."""
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    most_in_flight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, request: Request) -> Iterable[bytes] | None:
        if request.path.endswith("/health"):
            return raw_http.response(200, self.health)
        if request.path.endswith("/models"):
            return raw_http.response(200, {"data": [self.prices]})
        prompt = json.loads(request.body)["messages"][-1]["content"]
        key = request.headers["idempotency-key"]
        headers: dict[str, str] = {}
        with self._lock:
            self.connections.add(request.connection)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            in_flight = self.in_flight
            self.requests[prompt] += 1
            number = self.requests[prompt]
            if self.limit is not None:
                allowed, headers = self.limit.take(time.monotonic())
        try:
            if self.limit is not None:
                if not allowed:
                    return raw_http.response(429, responses.error("rate_limit_error"), **headers)
                headers = headers if self.limit_headers == "always" else {}
            seconds = self.latency(in_flight)
            if seconds:
                time.sleep(seconds)
            scripted = self.script(prompt, number)
            if scripted is not None:
                return scripted
            reply = self._reply(key, prompt)
            return None if self.lost(prompt, number) else raw_http.response(200, reply, **headers)
        finally:
            with self._lock:
                self.in_flight -= 1

    def _reply(self, key: str, prompt: str) -> dict[str, Any]:
        with self._lock:
            if key not in self.keys:
                self.runs[prompt] += 1
                content = [{"type": "text", "text": prompt}]
                usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "cost": self.cost(prompt)}
                reply = {**responses.COMPLETION, "id": f"cmpl_{len(self.keys) + 1}"}
                self.keys[key] = {**reply, "content": content, "usage": usage, "warnings": []}
            return self.keys[key]


@contextmanager
def completion_server(**state: Any) -> Iterator[CompletionServer]:
    """Run the server; ``state`` are fields of ``CompletionServer``."""
    server = CompletionServer(**state)
    with raw_http.serve(raw_http.SocketServer(server.handle)) as running:
        server.base_url = running.base_url
        yield server
