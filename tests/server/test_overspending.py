"""Ways to spend more than ``max_cost`` with the key of a task, on the model proxy and an endpoint that bills."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from support.overspending import LIMIT, PROGRAM, SHORT, WAYS, Outcome, Way, check, request_body, respond
from support.servers.billing_endpoint import BillingMessages

from claude_code_server.domain.engine_protocol import CancelToken, TaskSpec
from claude_code_server.domain.model_catalog import ModelCatalog, Tariff
from claude_code_server.engine.model_proxy import ModelProxy
from claude_code_server.upstream.factory import open_upstream

pytestmark = pytest.mark.slow


async def spend(way: Way, calls: int, folder: Path) -> Outcome:
    """Run the program of a task's shell until it ends or the task's limit ends it."""
    (folder / "body.json").write_text(request_body(way))
    with BillingMessages(respond(way, "", calls)) as endpoint:
        source = open_upstream(endpoint.url, "sk-real")
        proxy = ModelProxy(source, Tariff(ModelCatalog(), free=source.free, local=source.local))
        await proxy.start()
        spec = TaskSpec("task_1", "Spend.", folder, "claude-haiku-5-5", tools=("Bash",), max_cost=LIMIT)
        token = CancelToken()
        with proxy.issue_credential(spec, token, lambda *_: None) as credential:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, PROGRAM, str(calls), way.mode, "body.json"),
                env={"ANTHROPIC_BASE_URL": proxy.base_url, "ANTHROPIC_API_KEY": credential.key},
                cwd=folder,
                stdout=asyncio.subprocess.DEVNULL,
            )
            running, cancelled = asyncio.create_task(process.wait()), asyncio.create_task(token.wait())
            await asyncio.wait({running, cancelled}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                process.kill()
            assert await running == 0 or token.reason == "cost_exceeded"
            cancelled.cancel()
        outcome = Outcome(endpoint.bill / LIMIT, credential.usage.cost / LIMIT, token.reason or "completed")
        await proxy.aclose()
        await source.aclose()
    return outcome


@pytest.mark.parametrize("way", [way for way in WAYS if not way.needs_claude_code], ids=lambda way: way.name)
def test_max_cost_holds(way: Way, tmp_path: Path) -> None:
    check(way, asyncio.run(spend(way, min(way.calls, SHORT), tmp_path)))
