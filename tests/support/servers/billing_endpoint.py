"""Scripted Messages endpoint that bills every request that reaches it, whatever becomes of the response.

Prices and token counts are its own, so that it does not share the errors of the code under test.
"""

import json
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from support.servers import raw_http
from support.servers.messages_endpoint import Failure, Script, ScriptedMessages

_OPAQUE: Final = re.compile(r"[A-Za-z0-9+/=]{60,}")
_IMAGE_TOKENS: Final = 1600
_PAGE_TOKENS: Final = 2500
_SEARCH_USD: Final = 0.01
_SEARCH_TOKENS: Final = 10_000
_MCP_TOKENS: Final = 50_000


@dataclass(frozen=True)
class Rates:
    """List prices of a model, in USD per million tokens."""

    input: float
    output: float
    long_over: int | None = None
    """Prompt tokens above which everything costs five times as much."""


RATES: Final = {
    "claude-haiku-5-5": Rates(0.10, 0.50, 100_000),
    "claude-sonnet-5-5": Rates(2, 10),
    "claude-opus-5-5": Rates(4, 20),
    "claude-opus-4-1": Rates(15, 75),
}


def count_text(text: str) -> int:
    """Count tokens: 1.4 characters each of base64, one per character beyond Latin scripts, 3.5 characters of others."""
    opaque = sum(len(run) for run in _OPAQUE.findall(text))
    wide = sum(character > "\u07ff" for character in text)
    return int(opaque / 1.4 + wide + (len(text) - opaque - wide) / 3.5)


def count_prompt(value: Any) -> int:
    """Count the tokens of a request or a part of one."""
    if isinstance(value, str):
        return count_text(value)
    if isinstance(value, list):
        return sum(map(count_prompt, value))
    if not isinstance(value, Mapping):
        return 1
    if value.get("type") in ("image", "document") and isinstance(source := value.get("source"), Mapping):
        pages = 100 if source.get("type") == "url" else str(source.get("data")).count("UGFnZQ")
        return _IMAGE_TOKENS if value["type"] == "image" else pages * _PAGE_TOKENS
    return sum(count_text(str(key)) + count_prompt(part) for key, part in value.items())


def price_request(body: Mapping[str, Any], output_tokens: int) -> tuple[dict[str, Any], float]:
    """Return the true usage of a request, and its cost in USD."""
    rates = RATES[body["model"]]
    prompt = sum(count_prompt(body.get(name)) for name in ("system", "tools", "messages"))
    searches = sum(
        tool.get("max_uses", 10) for tool in body.get("tools", ()) if str(tool.get("type")).startswith("web_search")
    )
    prompt += _SEARCH_TOKENS * searches + _MCP_TOKENS * len(body.get("mcp_servers") or ())
    written = "cache_control" in (text := json.dumps(body))
    hour = written and '"1h"' in text
    factor = 5 if rates.long_over is not None and prompt > rates.long_over else 1
    factor *= {"fast": 6, None: 1}.get(body.get("speed"), 1) * (2 if body.get("service_tier") == "priority" else 1)
    input_rate = rates.input * (2 if hour else 1.25 if written else 1)
    cost = factor * (prompt * input_rate + output_tokens * rates.output) / 1e6 + searches * _SEARCH_USD
    usage = {
        "input_tokens": 0 if written else prompt,
        "cache_creation_input_tokens": prompt if written else 0,
        "cache_creation": {"ephemeral_1h_input_tokens": prompt if hour else 0},
        "output_tokens": output_tokens,
        "server_tool_use": {"web_search_requests": searches},
    }
    return usage, cost


class BillingMessages(ScriptedMessages):
    """``with BillingMessages(script) as endpoint: ... endpoint.bill``.

    The output of a reply is as long as its own ``usage`` says, up to the ``max_tokens`` of the request; its usage is
    replaced by the true one, unless it is empty. Requests that the endpoint refuses are not billed.
    """

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.bill = 0.0
        """USD of all requests so far."""
        self._billing = threading.Lock()

    def wanted_output(self, reply: Any) -> int:
        """Return the output tokens of a reply that no ``max_tokens`` cuts."""
        whole = getattr(reply, "message", reply)
        return int(whole["usage"].get("output_tokens", 0)) if isinstance(whole, dict) else 100_000

    def _respond(self, request: raw_http.Request) -> Iterable[bytes]:
        body = json.loads(request.body)
        if request.path.partition("?")[0].endswith("/messages"):
            script = self.reply

            def billed(asked: dict[str, Any]) -> Any:
                reply = script(asked)
                if isinstance(reply, Failure) and reply.status != 200:
                    return reply
                usage, cost = price_request(body, min(self.wanted_output(reply), body["max_tokens"]))
                with self._billing:
                    self.bill += cost
                whole = getattr(reply, "message", reply)
                if isinstance(whole, dict) and whole.get("usage", {}).get("reported", True):
                    whole["usage"] = usage
                elif isinstance(whole, dict):
                    whole["usage"] = {}
                return reply

            return self._reply_with(request, body, billed)
        return raw_http.response(200, {"input_tokens": 1})
