"""Ways to spend more than ``max_cost``, on the real Claude Code and an endpoint that bills at list price.

Each way reports its factor: the upstream's bill as a multiple of ``max_cost``.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from support.clients.client_kinds import KEY
from support.servers.billing_endpoint import BillingMessages
from support.servers.messages_endpoint import Cut, Failure, Hang, Reply, message, tool
from support.servers.server_process import server_process

from claude_code_client import ClaudeClient, CostExceededError
from claude_code_client.errors import ClaudeAPIError
from claude_code_client.models import AgenticTaskResponse

PROGRAM: Final = Path(__file__).parents[1] / "support" / "clients" / "relay_attack.py"
LIMIT: Final = 0.05
"""USD."""
TOLERANCE: Final = 1.1
"""Largest factor: a tenth of ``max_cost`` for what an estimate may err."""
GREEDY: Final = 100_000
"""Output tokens of a reply that is as long as it may be: 0.05 USD on the cheapest model."""
CHINESE: Final = "人工智能是计算机科学的一个分支。它企图了解智能的实质。并生产出一种新的智能机器。"


LATENCY: Final = 0.3
"""Seconds that the upstream takes for a reply, so that calls side by side overlap."""


def greedy() -> dict[str, Any]:
    return message("x", output_tokens=GREEDY)


def without_usage() -> dict[str, Any]:
    return {**message("x"), "usage": {"output_tokens": GREEDY, "reported": False}}


def pdf(pages: int) -> str:
    return base64.b64encode(b"%PDF-1.4\n" + b"\n".join(b"<</Type/Page>>" for _ in range(pages))).decode()


@dataclass(frozen=True)
class Way:
    """One way to overspend: a task, and what its shell sends to the model proxy with the task's key."""

    name: str
    calls: int = 20
    mode: str = "read"
    request: Mapping[str, Any] = field(default_factory=dict)
    """Changes of the request that the shell sends."""
    reply: Callable[[], Reply] = greedy
    """Upstream's reply to that request."""
    first: Callable[[], Reply] | None = None
    """Model's first reply, in place of a command that runs the shell program."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the task."""


def content(*blocks: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "attack"}, *blocks]}]


def source(kind: str, **fields: str) -> dict[str, Any]:
    return {"type": kind, "source": fields}


def twenty_agents() -> Reply:
    call = {"description": "spend", "prompt": "attack", "subagent_type": "code-analyzer"}
    return message(*[tool("Agent", **call) for _ in range(20)])


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
    Way("20 subagents in one message", first=twenty_agents, options={"allow_agents": ["code-analyzer"]}),
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
    Way("streams cut before usage is reported", request={"stream": True}, reply=lambda: Cut(greedy(), 2)),
    Way("connections lost before the response", reply=lambda: Cut(greedy(), 0)),
    Way("replies without usage", reply=without_usage),
    Way("replies that are not JSON", reply=lambda: Failure(200, body=b"<html>")),
    Way("documents by URL", request={"messages": content(source("document", type="url", url="https://a.b/c.pdf"))}),
    Way("documents with many pages", request={"messages": content(PAGES)}),
]


@dataclass
class Outcome:
    """What one way has cost."""

    factor: float
    metered: float
    """Cost of the task that the server reports, as a multiple of ``max_cost``."""
    status: str


@contextmanager
def billed_server(folder: Path) -> Iterator[tuple[ClaudeClient, BillingMessages, Path]]:
    with (
        BillingMessages([]) as endpoint,
        server_process(folder, api_keys=[KEY], upstream=endpoint.url, upstream_key="sk-real") as server,
        ClaudeClient(api_key=KEY, base_url=server.base_url, timeout=50) as client,
    ):
        yield client, endpoint, server.workspace


def spend(way: Way, calls: int, client: ClaudeClient, endpoint: BillingMessages, workspace: Path) -> Outcome:
    """Run a task that overspends in one way."""
    body = {"model": "claude-haiku-5-5", "max_tokens": 128_000, "messages": content(), **way.request}
    (workspace / "body.json").write_text(json.dumps(body))
    command = f"{sys.executable} {PROGRAM} {calls} {way.mode} body.json"

    def reply(request: dict[str, Any]) -> Reply:
        user = json.dumps(request["messages"])
        if '"tool_result"' in user:
            return message("Done.")
        if "attack" in user and "<task>" not in user:
            threading.Event().wait(LATENCY)
            return way.reply()
        return way.first() if way.first else message(tool("Bash", command=command))

    endpoint.reply, before = reply, endpoint.bill
    options = {"description": "Spend.", "model": "haiku", "allow_tools": ["Bash"], **way.options}
    task: AgenticTaskResponse | None = None
    try:
        task = client.execute_task(max_cost=LIMIT, **options)
    except CostExceededError as error:
        task = error.task
    except ClaudeAPIError as error:
        task = getattr(error, "task", None)
    spent = task.usage.cost if task is not None else 0.0
    return Outcome((endpoint.bill - before) / LIMIT, spent / LIMIT, task.status if task is not None else "refused")


@pytest.mark.timeout(240)
def test_max_cost_holds_against_every_way_to_overspend(tmp_path: Path) -> None:
    lines: list[str] = []
    over: list[str] = []
    with billed_server(tmp_path) as (client, endpoint, workspace):
        for way in WAYS:
            outcome = spend(way, way.calls, client, endpoint, workspace)
            lines.append(f"{way.name:45} {outcome.factor:8.2f} {outcome.metered:8.2f}  {outcome.status}")
            if outcome.factor > TOLERANCE or outcome.metered < outcome.factor * 0.9:
                over.append(way.name)
    print("\n".join([f"{'way':45} {'bill':>8} {'metered':>8}  status", *lines]))
    assert over == []
