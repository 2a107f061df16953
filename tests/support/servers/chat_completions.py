"""Scripted server of OpenAI's chat completions: its model calls Bash once if it may, and says what that printed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROMPT_TOKENS, OUTPUT_TOKENS = 11, 7


class ChatCompletions:
    """The model's received requests; with ``failing``, it responds to each with a 500."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.failing = False
        self.url = ""

    def reply(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the message of the model."""
        results = [turn["content"] for turn in request["messages"] if turn["role"] == "tool"]
        if request.get("tools") and not results:
            arguments = json.dumps({"command": "echo hello"})
            call = {"id": "call_1", "type": "function", "function": {"name": "Bash", "arguments": arguments}}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        return {"role": "assistant", "content": f"It printed {results[0]}." if results else "A language."}


@contextmanager
def chat_completions() -> Iterator[ChatCompletions]:
    """Run the server on loopback."""
    model = ChatCompletions()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            model.requests.append(request)
            if model.failing:
                self._send(500, "application/json", b'{"error": {"message": "oops", "type": "server_error"}}')
                return
            message = model.reply(request)
            reason = "tool_calls" if message.get("tool_calls") else "stop"
            usage = {
                "prompt_tokens": PROMPT_TOKENS,
                "completion_tokens": OUTPUT_TOKENS,
                "total_tokens": PROMPT_TOKENS + OUTPUT_TOKENS,
            }
            head = {"id": "chatcmpl-1", "created": 1, "model": request["model"]}
            if not request.get("stream"):
                choice = {"index": 0, "message": message, "finish_reason": reason}
                body = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
                self._send(200, "application/json", json.dumps(body).encode())
                return
            delta = {**message, "tool_calls": [{**call, "index": 0} for call in message.get("tool_calls", ())]}
            chunks: list[dict[str, Any]] = [
                {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
                {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
                {"choices": [], "usage": usage},
            ]
            lines = [json.dumps({**head, "object": "chat.completion.chunk", **chunk}) for chunk in chunks]
            self._send(200, "text/event-stream", "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode())

        def _send(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        model.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield model
        finally:
            server.shutdown()
            thread.join(10)
