"""Program that a task's shell runs to send odd requests to the model proxy with the task's key.

Prints one line per request: name, status and error type, or the exception.
"""

import http.client
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

CANARY = "value-canary"
MEGABYTE = b"x" * 1_000_000
PROXY = urlsplit(os.environ["ANTHROPIC_BASE_URL"])
KEY = os.environ["ANTHROPIC_API_KEY"]


def body(**changes: object) -> bytes:
    known = {"model": "claude-haiku-5-5", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
    return json.dumps({**known, **changes}).encode()


def with_number(text: str) -> bytes:
    return body(max_tokens="@").replace(b'"@"', text.encode())


def nested(depth: int) -> bytes:
    return body(messages="@").replace(b'"@"', b"[" * depth + b"]" * depth)


CASES = {
    "max_tokens text": body(max_tokens=CANARY),
    "max_tokens list": body(max_tokens=[CANARY]),
    "max_tokens missing": body(max_tokens=None),
    "max_tokens true": body(max_tokens=True),
    "max_tokens negative": body(max_tokens=-1),
    "max_tokens fraction": body(max_tokens=1.5),
    "max_tokens 1e400": with_number("1e400"),
    "max_tokens NaN": with_number("NaN"),
    "max_tokens with 5000 digits": with_number("9" * 5000),
    "model list": body(model=[CANARY]),
    "model unknown": body(model=f"claude-{CANARY}"),
    "stream text": body(stream=CANARY),
    "messages text": body(messages=CANARY),
    "600 levels": nested(600),
    "100000 levels": nested(100_000),
    "not JSON": b'{"' + CANARY.encode(),
    "not UTF-8": b'{"\xff": 1}',
}
HEADERS = {
    "beta in Latin-1": {"anthropic-beta": f"{CANARY}\xe9"},
    "beta with spaces": {"anthropic-beta": f"a b {CANARY}"},
    "key in Latin-1": {"x-api-key": "\xe9"},
}


def send(content: bytes | Iterable[bytes], path: str = "/v1/messages", **headers: str) -> str:
    assert PROXY.hostname is not None
    connection = http.client.HTTPConnection(PROXY.hostname, PROXY.port, timeout=30)
    with suppress(BrokenPipeError, ConnectionResetError):  # the proxy has responded before it received everything
        connection.request("POST", path, content, {"x-api-key": KEY, **headers})
    try:
        response = connection.getresponse()
        received = json.loads(response.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()
    return f"{response.status} {received['error']['type'] if 'error' in received else 'ok'}"


def endless(megabytes: int) -> Iterator[bytes]:
    for _ in range(megabytes):
        yield MEGABYTE


for name, content in CASES.items():
    print(f"{name}: {send(content)}")
for name, headers in HEADERS.items():
    print(f"{name}: {send(body(), **headers)}")
print(f"counting: {send(body(max_tokens=CANARY, messages=CANARY), '/v1/messages/count_tokens')}")
print(f"300 MB: {send(endless(300), **{'content-length': '300000000'})}")
print(f"300 MB in chunks: {send(endless(300))}")
# Words take long to count: these more than a second, for which the server has to stay responsive.
words = "word " * 1_500_000 + "x" * 22_500_000
print(f"30 MB: {send(body(messages=[{'role': 'user', 'content': words}]))}")
print(f"afterwards: {send(body())}")
