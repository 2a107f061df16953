"""CPU of calls one at a time: this library's, and those of other clients for the same body on the same server."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import anthropic
import h11
import httpcore
import httpx
import httpx2
import openai
import requests
from claude_code_api.api.completions import create_completion
from claude_code_api.models import CreateCompletionRequest

from benchmarks.common import BODY, KEY, PATH
from benchmarks.loopback import loopback_server
from benchmarks.rows import Bar, Chart, Row
from benchmarks.timing import cpu_of, in_process, in_turn, median, ratio
from claude_code_client import ClaudeClient

HTTPX: Final = "httpx.Client.post"

_ROUNDS: Final = 25
_CALLS: Final = 20


def bench_calls() -> tuple[list[Row], list[Chart]]:
    with loopback_server() as url, ExitStack() as stack:
        calls = _clients(url, stack)
        samples = in_turn({name: cpu_of(call, _CALLS) for name, call in calls.items()}, _ROUNDS)
        growth = in_process("memory", url)["megabytes"]
    baseline = f"{HTTPX} ({median(samples, HTTPX) * 1e6:.0f} µs)"
    rows = [
        Row("complete()", ratio(samples, "complete()", HTTPX), "", baseline, 0.60),
        Row("client.api, direct call", ratio(samples, "client.api", HTTPX), "", baseline, 0.80),
        Row("20,000 calls of one client: growth", growth, "MB", "resident memory after 2,000 calls", 1.0),
    ]
    bars = [Bar(name, ratio(samples, name, HTTPX), ours=name == "complete()") for name in calls]
    chart = Chart("CPU of one call, as a ratio to httpx", "", sorted(bars, key=lambda bar: bar.value))
    return rows, [chart]


def _clients(url: str, stack: ExitStack) -> dict[str, Callable[[], object]]:
    http = stack.enter_context(httpx.Client(trust_env=False))
    http2 = stack.enter_context(httpx2.Client(trust_env=False))
    session = stack.enter_context(requests.Session())
    session.trust_env = False
    client = stack.enter_context(ClaudeClient(KEY, f"{url}/v1"))
    endpoint_body = CreateCompletionRequest.from_dict(BODY)
    openai_client = stack.enter_context(openai.OpenAI(api_key=KEY, base_url=f"{url}/openai"))
    anthropic_client = stack.enter_context(anthropic.Anthropic(api_key=KEY, base_url=f"{url}/anthropic"))
    messages: Any = BODY["messages"]
    target = url + PATH
    return {
        HTTPX: lambda: http.post(target, json=BODY).json(),
        "complete()": lambda: client.complete("Hello"),
        "client.api": lambda: create_completion.sync(client=client.api, body=endpoint_body),
        "raw socket + json": stack.enter_context(raw_call(url)),
        "h11, one connection": stack.enter_context(_h11_call(url)),
        "httpcore, one connection": stack.enter_context(_httpcore_call(url)),
        "httpx2": lambda: http2.post(target, json=BODY).json(),
        "requests": lambda: session.post(target, json=BODY).json(),
        "anthropic": lambda: anthropic_client.messages.create(model="m", max_tokens=10, messages=messages),
        "openai": lambda: openai_client.chat.completions.create(model="m", messages=messages),
    }


@contextmanager
def raw_call(url: str) -> Iterator[Callable[[], object]]:
    """Yield a call without any HTTP library: the least that a call can cost in Python."""
    address = urlsplit(url)
    assert address.hostname is not None
    body = json.dumps(BODY).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection((address.hostname, address.port)) as connection:

        def call() -> object:
            connection.sendall(head + json.dumps(BODY).encode())
            return json.loads(connection.recv(65536).partition(b"\r\n\r\n")[2])

        yield call


@contextmanager
def _h11_call(url: str) -> Iterator[Callable[[], object]]:
    """Yield a call with a parser of HTTP and nothing more: no deadline, no check, no retry."""
    address, connection = urlsplit(url), h11.Connection(h11.CLIENT)
    headers = [("Host", address.netloc), ("Content-Type", "application/json")]
    with socket.create_connection((address.hostname or "", address.port or 80)) as sock:

        def call() -> object:
            body, received = json.dumps(BODY).encode(), b""
            head = h11.Request(method="POST", target=PATH, headers=[*headers, ("Content-Length", str(len(body)))])
            sock.sendall(
                b"".join(connection.send(event) or b"" for event in (head, h11.Data(data=body), h11.EndOfMessage()))
            )
            while (event := connection.next_event()) is h11.NEED_DATA or not isinstance(event, h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    connection.receive_data(sock.recv(65536))
                elif isinstance(event, h11.Data):
                    received += bytes(event.data)
            connection.start_next_cycle()
            return json.loads(received)

        yield call


@contextmanager
def _httpcore_call(url: str) -> Iterator[Callable[[], object]]:
    headers = [("Host", urlsplit(url).netloc), ("Content-Type", "application/json")]
    with httpcore.HTTPConnection(httpcore.URL(url).origin) as connection:
        yield lambda: json.loads(
            connection.request("POST", url + PATH, headers=headers, content=json.dumps(BODY).encode()).content
        )
