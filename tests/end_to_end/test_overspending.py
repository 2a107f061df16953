"""Ways to spend more than ``max_cost``, on the real Claude Code and an endpoint that bills at list price.

``server/test_overspending.py`` has the short form of those that need no Claude Code.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
from support.clients.client_kinds import KEY
from support.overspending import (
    LIMIT,
    PROGRAM,
    SHORT,
    WAYS,
    Outcome,
    Way,
    check,
    greedy,
    request_body,
    respond,
    without_usage,
)
from support.servers.billing_endpoint import BillingMessages
from support.servers.messages_endpoint import Cut, Disconnect, Failure, Hang, Reply
from support.servers.server_process import server_process

from claude_code_client import ClaudeClient, CostExceededError
from claude_code_client.errors import ClaudeAPIError
from claude_code_client.models import AgenticTaskResponse


@attrs.frozen
class BilledServer:
    """Server on an endpoint that bills, and a client of it."""

    client: ClaudeClient
    endpoint: BillingMessages
    workspace: Path


@contextmanager
def billed_server(folder: Path) -> Iterator[BilledServer]:
    with (
        BillingMessages([]) as endpoint,
        server_process(folder, api_keys=[KEY], upstream=endpoint.url, upstream_key="sk-real") as server,
        ClaudeClient(api_key=KEY, base_url=server.base_url, timeout=50) as client,
    ):
        yield BilledServer(client, endpoint, server.workspace)


def spend(way: Way, calls: int, server: BilledServer) -> Outcome:
    """Run a task that overspends in one way."""
    (server.workspace / "body.json").write_text(request_body(way))
    server.endpoint.reply = respond(way, f"{sys.executable} {PROGRAM} {calls} {way.mode} body.json", calls)
    before = server.endpoint.bill
    options = {"description": "Spend.", "model": "haiku", "allow_tools": ["Bash"], **way.options}
    task: AgenticTaskResponse | None = None
    try:
        task = server.client.execute_task(max_cost=LIMIT, **options)
    except CostExceededError as error:
        task = error.task
    except ClaudeAPIError as error:
        task = getattr(error, "task", None)
    spent = task.usage.cost if task is not None else 0.0
    return Outcome(
        (server.endpoint.bill - before) / LIMIT, spent / LIMIT, task.status if task is not None else "refused"
    )


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BilledServer]:
    with billed_server(tmp_path_factory.mktemp("billed")) as server:
        yield server


@pytest.mark.xdist_group("overspending")
@pytest.mark.parametrize(
    "way", [way for way in WAYS if way.needs_claude_code or way.mode == "hold"], ids=lambda way: way.name
)
def test_max_cost_holds(billed: BilledServer, way: Way) -> None:
    check(way, spend(way, min(way.calls, SHORT), billed))


@pytest.mark.long
@pytest.mark.timeout(500)
def test_max_cost_holds_in_the_whole_campaign(billed: BilledServer) -> None:
    """Print the table of all ways, each with as many calls as it takes to overspend by far."""
    outcomes = [(way, spend(way, 3 * way.calls if way.calls > 1 else 1, billed)) for way in WAYS]
    print(f"{'way':45} {'bill':>8} {'metered':>8}  status")
    for way, outcome in outcomes:
        print(f"{way.name:45} {outcome.factor:8.2f} {outcome.metered:8.2f}  {outcome.status}")
    for way, outcome in outcomes:
        check(way, outcome)


@pytest.mark.long
@pytest.mark.timeout(500)
@pytest.mark.parametrize("seed", range(20))
def test_max_cost_holds_against_random_calls(billed: BilledServer, seed: int) -> None:
    """Combine requests, replies and ways to leave at random."""
    chosen = random.Random(seed)
    request = {
        name: value
        for way in chosen.sample([way for way in WAYS if way.request], 3)
        for name, value in way.request.items()
        if name != "model"
    }
    request["max_tokens"] = chosen.choice([1, 50, 1000, 32_000, 128_000])
    way = Way(f"random {seed}", 20, chosen.choice(["read", "leave", "hold"]), request)

    def reply() -> Reply:
        kinds: list[Reply] = [greedy(), without_usage(), Cut(greedy(), chosen.randrange(5)), Disconnect(), Failure(529)]
        return chosen.choice(kinds if way.mode == "read" else [*kinds, Hang()])

    outcome = spend(attrs.evolve(way, reply=reply), 20, billed)
    check(way, outcome)
