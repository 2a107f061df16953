"""Benchmarks of the library. Each figure is a ratio to a baseline of the same run, because machines differ."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

import httpx

from claude_code_client import ClaudeClient
from claude_code_common.sse import EventDecoder

REPLY: Final = json.dumps(
    {
        "id": "cmpl_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Python is a language."}],
        "model": "claude-sonnet-5-5",
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17, "cost": 0.25},
    }
).encode()


def serve_reply(listener: socket.socket) -> None:
    """Respond to every request on kept-alive connections with the same bytes, at next to no cost."""
    response = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(REPLY),
        REPLY,
    )

    def respond(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as requests:
            while requests.readline():
                length = 0
                while (line := requests.readline().lower()) not in (b"", b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                requests.read(length)
                connection.sendall(response)

    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=respond, args=(connection,), daemon=True).start()


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Return the median seconds of one round."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def report(name: str, measured: float, baseline: float, than: str) -> None:
    print(f"{name:28} {measured * 1000:9.3f} ms   {measured / baseline:6.2f} of {than} ({baseline * 1000:.3f} ms)")


def bench_import() -> None:
    def importing(statement: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", statement], check=True)

    baseline = seconds(importing("import httpx"), 7)
    report(
        "import ClaudeClient", seconds(importing("from claude_code_client import ClaudeClient"), 7), baseline, "httpx"
    )
    report("import claude_code_client", seconds(importing("import claude_code_client"), 7), baseline, "httpx")


def bench_call() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve_reply, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        body = {"messages": [{"role": "user", "content": "Hello"}]}
        with httpx.Client(base_url=url, trust_env=False) as http, ClaudeClient("sk-proj-bench", url) as client:
            baseline = seconds(lambda: http.post("/chat/completions", json=body).json(), 2000)
            report("complete()", seconds(lambda: client.complete("Hello"), 2000), baseline, "httpx.Client.post")
            context = seconds(lambda: httpx.Client().close(), 20)
            report(
                "ClaudeClient(…)",
                seconds(lambda: ClaudeClient("sk-proj-bench", url).close(), 20),
                context,
                "httpx.Client()",
            )


def split_chunks(stream: bytes) -> list[bytes]:
    """Split a stream into chunks, as a connection delivers it."""
    return [stream[start : start + 65536] for start in range(0, len(stream), 65536)]


def decoding(stream: bytes) -> Callable[[], None]:
    """Return a function that decodes the events of a stream, and their JSON."""
    chunks = split_chunks(stream)

    def decode() -> None:
        decoder = EventDecoder()
        for chunk in chunks:
            for event in decoder.feed(chunk):
                json.loads(event.data)

    return decode


def event(data: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"id: 1\nevent: tool_result\n{lines}\n".encode()


def bench_stream() -> None:
    def bench(name: str, value: object, count: int = 1, *, indent: int | None = None) -> None:
        data = json.dumps(value, ensure_ascii=False, indent=indent)
        body = data.encode()
        baseline = seconds(lambda: [json.loads(body) for _ in range(count)], 15)
        report(name, seconds(decoding(event(data) * count), 15), baseline, "json.loads")

    bench("1000 small events", {"type": "thinking", "content": "Let me see."}, 1000)
    for size in (8, 16, 32):
        bench(f"one event of {size} MB", {"type": "tool_result", "result": "x" * size * 1_000_000})
    bench("8 MB, not ASCII", {"type": "tool_result", "result": "é€" * 1_600_000})
    bench("8 MB, in 250,000 lines", {"type": "tool_result", "result": ["x" * 26] * 250_000}, indent=1)


def main() -> None:
    bench_import()
    bench_call()
    bench_stream()


if __name__ == "__main__":
    main()
