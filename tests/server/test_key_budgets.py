"""Budgets of keys against models that never stop: tasks side by side, completions beside them, and a SIGKILL."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from support.overspending import TOLERANCE
from support.servers.billing_endpoint import BillingMessages
from support.servers.embedded_server import Running, serving
from support.servers.messages_endpoint import Reply, message, tool
from support.servers.server_process import server_process
from support.servers.spending_engine import GIVEN, SpendingEngine
from support.stored_keys import create_key

pytestmark = pytest.mark.slow

BUDGET: Final = 0.05
"""USD."""
CALL: Final = 0.0015
"""USD that one reply of the model costs at least."""
ASYNC: Final = {"Prefer": "respond-async"}
TESTS: Final = Path(__file__).parents[1]


def endless(_: dict[str, Any]) -> Reply:
    return message("x", output_tokens=3000)


@contextmanager
def spending_server(folder: Path, endpoint: BillingMessages, **settings: Any) -> Iterator[Running]:
    options: dict[str, Any] = {"api_keys": (GIVEN,), "model": "haiku", "max_concurrent_tasks": 8, **settings}
    (folder / "workspace").mkdir(exist_ok=True)
    with serving(
        folder / "workspace", SpendingEngine(endpoint.url), state_dir=folder / "state", upstream=endpoint.url,
        upstream_key="sk-real", **options,
    ) as server:  # fmt: skip
        yield server


def submit(client: httpx.Client, **fields: Any) -> httpx.Response:
    return client.post("/task", json={"description": "Spend.", "max_cost": 1, **fields}, headers=ASYNC)


def wait_ended(client: httpx.Client, task: str) -> dict[str, Any]:
    ended: dict[str, Any] = client.get(f"/task/{task}", headers={"Prefer": "wait=30"}).json()
    assert ended["status"] not in ("pending", "running")
    return ended


@pytest.mark.parametrize("period", ["day", "month"])
def test_eight_tasks_at_once_and_completions_keep_to_the_budget_of_their_key(tmp_path: Path, period: str) -> None:
    with BillingMessages(endless) as endpoint, spending_server(tmp_path, endpoint) as server:
        key = create_key(tmp_path / "state", "team", "--preset=enterprise", f"--{period}-budget={BUDGET}")
        with server.client(key) as client:
            tasks = [submit(client).json()["id"] for _ in range(8)]
            body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3000}
            statuses = set()
            while 429 not in statuses:
                statuses.add(client.post("/chat/completions", json=body).status_code)
            ended = [wait_ended(client, task) for task in tasks]
            assert [task["status"] for task in ended] == ["cost_exceeded"] * 8
            assert {task["error"]["message"] for task in ended} == {
                f"exceeded the {period} budget of ${BUDGET:g} of the key"
            }
            assert BUDGET - 2 * CALL < endpoint.bill <= BUDGET * TOLERANCE
            usage = client.get("/usage", params={"period": period}).json()
            assert usage["cost"] == pytest.approx(endpoint.bill)
            assert usage["remaining"] == pytest.approx(max(0.0, BUDGET - endpoint.bill))
            bill = endpoint.bill
            refused = client.post("/chat/completions", json={**body, "max_tokens": 128_000})
            assert (refused.status_code, refused.json()["error"]["type"]) == (429, "cost_exceeded_error")
            assert 0 < int(refused.headers["retry-after"]) <= 31 * 86_400
            assert endpoint.bill == bill
        with server.client(GIVEN) as other:
            assert other.post("/chat/completions", json=body).status_code == 200, "other keys have budgets of their own"


def test_a_task_keeps_to_its_own_limit_within_the_budget(tmp_path: Path) -> None:
    with BillingMessages(endless) as endpoint, spending_server(tmp_path, endpoint) as server:
        key = create_key(tmp_path / "state", "team", "--preset=enterprise", f"--month-budget={BUDGET}")
        with server.client(key) as client:
            ended = wait_ended(client, submit(client, max_cost=0.01).json()["id"])
            assert (ended["status"], ended["error"]["message"]) == ("cost_exceeded", "exceeded max_cost")
            assert endpoint.bill <= 0.01 * TOLERANCE


def test_the_budget_of_a_key_holds_across_a_sigkill(tmp_path: Path) -> None:
    calls = threading.Semaphore(0)

    def counted(request: dict[str, Any]) -> Reply:
        calls.release()
        return endless(request)

    state, workspace = tmp_path / "state", tmp_path / "workspace"
    workspace.mkdir()
    key = create_key(state, "team", "--preset=enterprise", f"--month-budget={BUDGET}")
    with BillingMessages(counted) as endpoint:
        arguments = [str(workspace), str(state), endpoint.url]
        with subprocess.Popen(
            [sys.executable, "-m", "support.servers.spending_engine", *arguments],
            stdout=subprocess.PIPE, text=True, cwd=TESTS, env={**os.environ, "PYTHONPATH": str(TESTS)},
        ) as process:  # fmt: skip
            assert process.stdout is not None
            try:
                url = process.stdout.readline().strip()
                with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, verify=False) as client:
                    tasks = [submit(client).json()["id"] for _ in range(8)]
                    for _ in range(12):
                        assert calls.acquire(timeout=20)
            finally:
                process.kill()
        before = endpoint.bill
        assert before < BUDGET
        with spending_server(tmp_path, endpoint) as server, server.client(key) as client:
            usage = client.get("/usage").json()
            assert usage["cost"] >= before * 0.99, "what may have been paid for is charged"
            assert {wait_ended(client, task)["status"] for task in tasks} <= {"failed", "cost_exceeded"}
            for task in [response.json()["id"] for response in [submit(client) for _ in range(4)]]:
                assert wait_ended(client, task)["status"] == "cost_exceeded"
            assert endpoint.bill <= BUDGET * TOLERANCE


def never_stops(request: dict[str, Any]) -> Reply:
    return message(tool("Glob", pattern="*.md"), output_tokens=3000)


def test_real_claude_code_is_stopped_by_the_budget_of_its_key(tmp_path: Path) -> None:
    budget = BUDGET / 4
    with (
        BillingMessages(never_stops) as endpoint,
        server_process(tmp_path, api_keys=[GIVEN], upstream=endpoint.url, upstream_key="sk-real") as server,
    ):
        key = create_key(server.state_dir, "team", "--preset=pro", f"--month-budget={budget}")
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=server.base_url, headers=headers, timeout=60, verify=False) as client:
            response = client.post("/task", json={"description": "Spend.", "model": "haiku"})
            assert response.status_code == 402
            assert response.json()["error"]["message"] == (
                f"The next model call would have exceeded the month budget of ${budget:g} of the key."
            )
            assert endpoint.bill <= budget * TOLERANCE
            assert client.get("/usage").json()["cost"] == pytest.approx(endpoint.bill, rel=0.02)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_eight_tasks_of_real_claude_code_keep_to_the_budget_across_a_sigkill(tmp_path: Path) -> None:
    calls = threading.Semaphore(0)

    def counted(request: dict[str, Any]) -> Reply:
        calls.release()
        return never_stops(request)

    options = ["--max-concurrent-tasks=8"]
    with (
        BillingMessages(counted) as endpoint,
        server_process(
            tmp_path, api_keys=[GIVEN], upstream=endpoint.url, upstream_key="sk-real", options=options
        ) as server,
    ):
        budget = 10 * BUDGET
        key = create_key(server.state_dir, "team", "--preset=pro", f"--month-budget={budget}")
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=server.base_url, headers=headers, timeout=60, verify=False) as client:
            tasks = [submit(client, model="haiku").json()["id"] for _ in range(8)]
            for _ in range(40):
                assert calls.acquire(timeout=60)
            server.kill()
            before = endpoint.bill
            server.start()
            charged = client.get("/usage").json()["cost"]
            assert charged >= before * 0.99
            assert {wait_ended(client, task)["status"] for task in tasks} == {"failed"}
            tasks = [submit(client, model="haiku").json()["id"] for _ in range(8)]
            assert {wait_ended(client, task)["status"] for task in tasks} == {"cost_exceeded"}
            print(f"bill ${endpoint.bill:.4f} of ${budget}; at the kill ${before:.4f}, charged ${charged:.4f}")
            assert endpoint.bill <= budget * 1.02
