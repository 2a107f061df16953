"""Ways to spend more than ``max_cost``, and an upstream's replies to them.

Each way reports its factor: the upstream's bill as a multiple of ``max_cost``.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from support.servers.messages_endpoint import Cut, Disconnect, Failure, Hang, Reply, message, tool

PROGRAM: Final = Path(__file__).parent / "clients" / "relay_attack.py"
LIMIT: Final = 0.05
"""USD."""
TOLERANCE: Final = 1.1
"""Largest factor: a tenth of ``max_cost`` for what an estimate may err."""
GREEDY: Final = 100_000
"""Output tokens of a reply that is as long as it may be: 0.05 USD on the cheapest model."""
CHINESE: Final = "人工智能是计算机科学的一个分支。它企图了解智能的实质。并生产出一种新的智能机器。"
SHORT: Final = 8
"""Calls in the short form of a way: they cost eight times the limit."""
LATENCY: Final = 0.3
"""Seconds that the upstream takes for a reply, so that calls side by side overlap."""


def greedy() -> dict[str, Any]:
    return message("x", output_tokens=GREEDY)


def without_usage() -> dict[str, Any]:
    return {**message("x"), "usage": {"output_tokens": GREEDY, "reported": False}}


def pdf(pages: int) -> str:
    return base64.b64encode(b"%PDF-1.4\n" + b"\n".join(b"<</Type/Page>>" for _ in range(pages))).decode()


@attrs.frozen
class Way:
    """One way to overspend: a task, and what its shell sends to the model proxy with the task's key."""

    name: str
    calls: int = 20
    mode: str = "read"
    request: Mapping[str, Any] = attrs.field(factory=dict)
    """Changes of the request that the shell sends."""
    reply: Callable[[], Reply] = greedy
    """Upstream's reply to that request."""
    first: Callable[[int], Reply] | None = None
    """Model's first reply, given the number of calls, in place of a command that runs the shell program."""
    options: Mapping[str, Any] = attrs.field(factory=dict)
    """Options of the task."""

    @property
    def needs_claude_code(self) -> bool:
        """True if more than the shell's requests to the model proxy matters."""
        return bool(self.options or self.first)


def content(*blocks: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "attack"}, *blocks]}]


def source(kind: str, **fields: str) -> dict[str, Any]:
    return {"type": kind, "source": fields}


def agents(count: int) -> Reply:
    call = {"description": "spend", "prompt": "attack", "subagent_type": "code-analyzer"}
    return message(*[tool("Agent", **call) for _ in range(count)])


PAGES: Final = source("document", type="base64", media_type="application/pdf", data=pdf(40))
LONG: Final = {"type": "text", "text": "attack " + CHINESE * 8000}
LONG_CACHED: Final = {**LONG, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
WAYS: Final = [
    Way(
        "a model that is not in the price list",
        request={"model": "claude-opus-4-1"},
        options={"model": "claude-opus-4-1"},
    ),
    Way("the task's key asks for another model", request={"model": "claude-opus-5-5"}),
    Way("the task's key asks for an unlisted model", request={"model": "claude-opus-4-1"}),
    Way("one large prompt", 1, request={"messages": content(LONG)}),
    Way("one large prompt, cached for an hour", 1, request={"messages": content(LONG_CACHED)}),
    Way("a large description", options={"description": "Spend. " + CHINESE * 8000}),
    Way("20 subagents in one message", first=agents, options={"allow_agents": ["code-analyzer"]}),
    Way("40 calls side by side with the task's key", 40),
    Way("calls left before their first event", 40, "leave", reply=Hang),
    Way("calls under way when the task ends", 40, "hold", reply=Hang),
    Way("mcp_servers", request={"mcp_servers": [{"type": "url", "url": "https://a.b", "name": "c"}], "max_tokens": 50}),
    Way("speed: fast", request={"speed": "fast"}),
    Way("service_tier: priority", request={"service_tier": "priority"}),
    Way(
        "server tools",
        request={"tools": [{"type": "web_search_20250305", "name": "web_search"}], "max_tokens": 50},
    ),
    Way(
        "a permitted web search",
        request={"tools": [{"type": "web_search_20250305", "name": "web_search"}], "max_tokens": 50},
        options={"allow_tools": ["Bash", "WebSearch"]},
    ),
    Way("streams cut before usage is reported", request={"stream": True}, reply=lambda: Cut(greedy(), 2)),
    Way("connections lost before the response", reply=lambda: Cut(greedy(), 0)),
    Way("connections closed without a response", reply=Disconnect),
    Way("replies without usage", reply=without_usage),
    Way("replies that are not JSON", reply=lambda: Failure(200, body=b"<html>")),
    Way("documents by URL", request={"messages": content(source("document", type="url", url="https://a.b/c.pdf"))}),
    Way("documents with many pages", request={"messages": content(PAGES)}),
]


@attrs.frozen
class Outcome:
    """Cost of one way."""

    factor: float
    metered: float
    """Cost of the task that the server reports, as a multiple of ``max_cost``."""
    status: str


def request_body(way: Way) -> str:
    """Return the request that the shell sends."""
    return json.dumps({"model": "claude-haiku-5-5", "max_tokens": 128_000, "messages": content(), **way.request})


def respond(way: Way, command: str, calls: int) -> Callable[[dict[str, Any]], Reply]:
    """Return the upstream's replies to a task whose model runs ``command``, and to the requests that this sends."""

    def reply(request: dict[str, Any]) -> Reply:
        user = json.dumps(request["messages"])
        if '"tool_result"' in user:
            return message("Done.")
        if "attack" in user and "<task>" not in user:
            threading.Event().wait(LATENCY)
            return way.reply()
        return way.first(calls) if way.first else message(tool("Bash", command=command))

    return reply


def check(way: Way, outcome: Outcome) -> None:
    assert outcome.factor <= TOLERANCE, way.name
    assert outcome.metered >= outcome.factor * 0.9, "the server reports less than the upstream charges"
