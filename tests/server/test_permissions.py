"""Permissions and limits of keys, refused and allowed, at the wire."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
from support.clients.client_kinds import ClientKind
from support.servers.context_server import ContextServer, context_server
from support.servers.embedded_server import KEY, OTHER_KEY, all_events, serving
from support.servers.scripted_engine import ScriptedEngine
from support.stored_keys import create_key

from claude_code_client import CostExceededError, PermissionError, RateLimitError
from claude_code_server.domain import rate_window
from claude_code_server.domain.engine_protocol import Outcome
from claude_code_server.domain.entities import ArtifactFile
from claude_code_server.domain.key_account import KeyAccount
from claude_code_server.domain.permissions import PRESETS, Permissions
from claude_code_server.domain.rate_window import RateWindow
from claude_code_server.engine.agent_library import AgentLibrary
from claude_code_server.engine.options import build_options
from claude_code_server.engine.tools import DEFAULT_TOOLS, TOOLS

GIVEN = "sk-proj-given"
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContextServer]:
    with context_server(tmp_path_factory.mktemp("permissions"), api_keys=(GIVEN,)) as running:
        yield running


@pytest.fixture
def server(shared: ContextServer) -> Iterator[ContextServer]:
    with shared.reset() as running:
        yield running


_numbers = itertools.count(1)


def key_for(server: ContextServer, options: tuple[str, ...]) -> str:
    directory = server.server.services.settings.state_dir
    assert directory is not None
    return create_key(directory, f"key {next(_numbers)}", *options)


def submit(client: httpx.Client, **fields: Any) -> httpx.Response:
    return client.post("/task", json={"description": "Work.", **fields})


# ---- what a key may use


@pytest.mark.parametrize(
    ("options", "fields", "refusal"),
    [
        (["--preset=free"], {"allow_tools": ["Read", "Grep"]}, None),
        (["--preset=free"], {"allow_tools": ["Read", "Bash"]}, "the tool Bash; it may use: Grep, Read."),
        (["--preset=free"], {"allow_tools": ["Write"]}, "the tool Write; it may use: Grep, Read."),
        (["--preset=free"], {"allow_agents": ["code-analyzer"]}, "the agent code-analyzer; it may use no agents."),
        (["--preset=free"], {"allow_skills": ["semantic-text-matcher"]}, "the skill semantic-text-matcher; it may"),
        (["--preset=free"], {"timeout": 60}, None),
        (["--preset=free"], {"timeout": 61}, "request a timeout of 61 s; it may request a timeout of 60 s."),
        (["--preset=pro"], {"allow_tools": list(DEFAULT_TOOLS), "allow_agents": ["code-analyzer"]}, None),
        (["--preset=pro"], {"allow_tools": ["WebFetch"]}, "the tool WebFetch; it may use: Bash, Edit, Glob, Grep,"),
        (["--preset=pro"], {"timeout": 301}, "it may request a timeout of 300 s."),
        (["--preset=enterprise"], {"allow_tools": list(TOOLS), "timeout": 10_000, "max_cost": 100}, None),
        (["--tools=Read,Web*"], {"allow_tools": ["WebFetch", "WebSearch"]}, None),
        (["--tools=Read,Web*"], {"allow_tools": ["Grep"]}, "the tool Grep; it may use: Read, WebFetch, WebSearch."),
        (["--tools=all"], {"allow_tools": ["NotebookEdit"]}, None),
        (["--tools=none"], {"allow_tools": ["Read"]}, "the tool Read; it may use no tools."),
        (["--agents=code-*"], {"allow_agents": ["code-analyzer"]}, None),
        (["--agents=code-*"], {"allow_agents": ["security-auditor"]}, "security-auditor; it may use: code-analyzer."),
        (["--skills=semantic-*"], {"allow_skills": ["semantic-text-matcher"]}, None),
        (["--skills=text-*"], {"allow_skills": ["semantic-text-matcher"]}, "the skill semantic-text-matcher"),
        (["--models=haiku"], {"model": "haiku"}, None),
        (["--models=haiku"], {"model": "claude-haiku-5-5"}, None),
        (["--models=claude-haiku-*"], {"model": "haiku"}, None),
        (["--models=haiku"], {"model": "claude-haiku-5-5-20260101"}, None),
        (["--models=haiku"], {"model": "sonnet"}, "the model sonnet; it may use: haiku."),
        (["--max-cost=0.5"], {"max_cost": 0.5}, None),
        (["--max-cost=0.5"], {"max_cost": 0.51}, "a max_cost of $0.51; it may request a max_cost of $0.5."),
    ],
)  # fmt: skip
def test_a_task_may_only_use_what_its_key_may_use(
    server: ContextServer, options: list[str], fields: dict[str, Any], refusal: str | None
) -> None:
    with server.server.client(key_for(server, tuple(options))) as client:
        response = submit(client, **fields)
    if refusal is None:
        assert response.status_code == 200, response.text
        return
    assert response.status_code == 403
    error = response.json()["error"]
    assert error["type"] == "permission_error"
    assert refusal in error["message"]
    assert error["param"] in fields
    assert server.tasks() == [], "nothing was started"


@pytest.mark.parametrize("path", ["/chat/completions", "/chat/completions/stream"])
def test_a_completion_may_only_use_a_permitted_model(server: ContextServer, path: str) -> None:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}
    with server.server.client(key_for(server, ("--models=haiku",))) as client:
        response = client.post(path, json={**body, "model": "opus"})
        assert response.status_code == 403
        assert response.json()["error"]["message"] == "This key may not use the model opus; it may use: haiku."
        assert client.post(path, json={**body, "model": "haiku"}).status_code == 200
        assert client.post(path, json=body).status_code == 200, "the default is one that the key may use"
        listed = client.get("/models").json()["data"]
    assert [(model["alias"], model["default"]) for model in listed] == [("haiku", True)]


@pytest.mark.slow
def test_what_a_request_leaves_out_is_what_the_key_may_use(server: ContextServer) -> None:
    specs: list[Any] = []
    engine, run = server.engine, server.engine.run

    async def recording(spec: Any, *arguments: Any) -> Any:
        specs.append(spec)
        return await run(spec, *arguments)

    engine.run = recording  # type: ignore[method-assign, assignment]
    try:
        for options in (
            ("--preset=free", "--models=haiku", "--max-cost=0.25"),
            ("--preset=free", "--tools=WebFetch", "--models=sonnet"),
            ("--preset=enterprise",),
        ):
            with server.server.client(key_for(server, options)) as client:
                assert submit(client).status_code == 200
    finally:
        engine.run = run  # type: ignore[method-assign]
    free, web, enterprise = specs
    assert (set(free.tools), free.agents, free.skills) == ({"Read", "Grep"}, (), ())
    assert (free.timeout, free.max_cost, free.model, free.small_model) == (
        60, 0.25, "claude-haiku-5-5", "claude-haiku-5-5",
    )  # fmt: skip
    assert (web.tools, web.model, web.small_model) == (("WebFetch",), "claude-sonnet-5-5", "claude-sonnet-5-5")
    assert (enterprise.tools, enterprise.timeout, enterprise.max_cost) == (DEFAULT_TOOLS, 300, 1)
    assert enterprise.small_model == "claude-haiku-5-5"
    # Subagents get no tool that the task does not have.
    started = build_options(
        attrs.evolve(free, agents=("code-analyzer",)), Path("claude"), print, AgentLibrary().agents()
    )
    assert started.agents is not None
    assert set(started.agents["code-analyzer"].tools or ()) == {"Read", "Grep"}
    assert started.agents["code-analyzer"].model == "inherit"


# ---- how much at a time


def test_requests_beyond_the_rate_are_refused(server: ContextServer) -> None:
    with server.server.client(key_for(server, ("--requests-per-minute=3",))) as client:
        left = []
        for _ in range(3):
            response = client.get("/models")
            assert response.status_code == 200
            left.append((response.headers["x-ratelimit-limit"], response.headers["x-ratelimit-remaining"]))
            assert 0 < int(response.headers["x-ratelimit-reset"]) <= 60
        assert left == [("3", "2"), ("3", "1"), ("3", "0")]
        response = submit(client)
        assert response.status_code == 429
        assert response.json()["error"]["type"] == "rate_limit_error"
        assert response.headers["x-ratelimit-remaining"] == "0"
        assert response.headers["retry-after"] == response.headers["x-ratelimit-reset"]
    with server.server.client(GIVEN) as other:
        assert "x-ratelimit-limit" not in other.get("/models").headers


def test_what_was_started_can_be_followed_and_stopped_beyond_the_rate(server: ContextServer) -> None:
    with server.server.client(key_for(server, ("--requests-per-minute=1",))) as client:
        task = client.post("/task", json={"description": "h", "context": {"hold": True}}, headers=ASYNC).json()["id"]
        assert client.get("/models").status_code == 429
        for _ in range(5):
            assert client.get(f"/task/{task}").status_code == 200
        assert client.post(f"/task/{task}/cancel").json()["status"] == "cancelled"
        assert all_events(client, task)[-1].type == "result"
        response = client.get("/task/task_none")
        assert response.status_code == 404
        assert response.headers["x-ratelimit-remaining"] == "0"


def test_tasks_beyond_those_at_once_are_refused(server: ContextServer) -> None:
    with server.server.client(key_for(server, ("--tasks-at-once=2", "--requests-per-minute=100"))) as client:
        body = {"description": "hold", "context": {"hold": True}}
        keyed = [{**ASYNC, "Idempotency-Key": f"task {number}"} for number in range(2)]
        tasks = [client.post("/task", json=body, headers=headers).json()["id"] for headers in keyed]
        response = submit(client)
        assert response.status_code == 429
        assert response.json()["error"]["message"] == "This key may have 2 tasks pending or running at once."
        assert int(response.headers["retry-after"]) > 0
        assert response.headers["x-ratelimit-remaining"] == "97"
        again = client.post("/task", json=body, headers=keyed[0])
        assert (again.status_code, again.json()["id"]) == (202, tasks[0]), "a repeated submit is no further task"
        client.post(f"/task/{tasks[0]}/cancel")
        assert submit(client).status_code == 200
        client.post(f"/task/{tasks[1]}/cancel")


@pytest.mark.parametrize("period", ["day", "month"])
def test_usage_tells_what_a_budget_has_left(server: ContextServer, period: str) -> None:
    with server.server.client(key_for(server, (f"--{period}-budget=1",))) as client:
        assert submit(client, context={"cost": 0.75}).status_code == 200
        usage = client.get("/usage", params={"period": period}).json()
        assert (usage["limit"], usage["remaining"], usage["cost"]) == (1, 0.25, 0.75)
        assert client.get("/usage", params={"period": "week"}).json()["limit"] is None
        assert submit(client, context={"cost": 0.25}).status_code == 200


def test_a_key_sees_its_permissions(both: ClientKind, server: ContextServer) -> None:
    options = ("--preset=free", "--skills=semantic-*", "--tasks-at-once=3", "--max-cost=0.5", "--month-budget=20")
    client = both.client(server.base_url, api_key=key_for(server, options))
    known = both.call(client.get_capabilities())
    assert [tool.name for tool in known.tools] == ["Grep", "Read"]
    assert known.agents == []
    assert [skill.name for skill in known.skills] == ["semantic-text-matcher"]
    limits = known.limits
    assert (limits.requests_per_minute, limits.tasks_at_once, limits.max_timeout) == (10, 3, 60)
    assert (limits.max_cost, limits.day_budget, limits.month_budget) == (0.5, None, 20)
    usage = both.call(client.get_usage("month"))
    assert (usage.limit, usage.remaining) == (20, 20)
    unlimited = both.call(both.client(server.base_url, api_key=GIVEN).get_capabilities())
    assert len(unlimited.tools) == len(TOOLS)
    assert unlimited.limits.requests_per_minute is None


# ---- what callers of the client get


def test_exceptions_say_what_the_key_may_do(both: ClientKind, server: ContextServer) -> None:
    client = both.client(server.base_url, api_key=key_for(server, ("--preset=free", "--requests-per-minute=2")),
                         max_retries=0)  # fmt: skip
    assert both.call(client.execute_task("Work.")).status == "completed", "the default timeout is not refused"
    with pytest.raises(PermissionError, match="may not use the tool Bash; it may use: Grep, Read") as refused:
        both.call(client.execute_task("Work.", allow_tools=["Bash"]))
    assert refused.value.param == "allow_tools"
    assert "get_capabilities" in str(refused.value)
    with pytest.raises(RateLimitError, match="2 requests a minute") as limited:
        both.call(client.execute_task("Work."))
    assert limited.value.retry_after is not None
    assert 0 < limited.value.retry_after <= 60


def test_an_exhausted_budget_is_a_cost_error_that_is_not_retried(both: ClientKind, tmp_path: Path) -> None:
    with context_server(tmp_path, api_keys=(GIVEN,), upstream="http://127.0.0.1:9", model="sonnet") as server:
        client = both.client(server.base_url, api_key=key_for(server, ("--preset=pro", "--month-budget=0")))
        for call in (client.execute_task, client.complete):
            with pytest.raises(CostExceededError, match=r"left of this key's month budget of \$0") as refused:
                both.call(call("Hello"))
            assert refused.value.status_code == 429
            assert refused.value.attempts == 1
            assert refused.value.retry_after is not None
            assert refused.value.retry_after > 1
        assert server.tasks() == []
        assert server.billed() == 0


@pytest.mark.slow
def test_a_batch_keeps_to_the_rate_of_its_key(
    both: ClientKind, server: ContextServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_window, "WINDOW", 1.0)
    client = both.client(server.base_url, api_key=key_for(server, ("--requests-per-minute=5",)))
    metrics = server.server.services.metrics

    def refused() -> int:
        route = metrics.routes.get(("/v1/chat/completions", "POST"))
        return 0 if route is None else route.statuses[429]

    before = refused()
    results = list(both.each(client.map_completions([f"Say {number}." for number in range(8)])))
    assert [result.error for result in results] == [None] * 8
    assert refused() - before < 5, "the limit is followed, not hit"


# ---- two keys


def test_two_keys_see_nothing_of_each_other(server: ContextServer) -> None:
    first, second = (key_for(server, ("--preset=enterprise",)) for _ in range(2))
    headers = {"Idempotency-Key": "same"}
    with server.server.client(first) as one, server.server.client(second) as two:
        body = {"description": "secret of the first", "context": {"cost": 0.5, "events": 2}}
        task = one.post("/task", json=body, headers=headers).json()["id"]
        completion = {"messages": [{"role": "user", "content": "Hello"}]}
        reply = one.post("/chat/completions", json=completion, headers=headers).json()["id"]
        for method, path in (
            ("GET", f"/task/{task}"),
            ("GET", f"/task/{task}/events"),
            ("POST", f"/task/{task}/cancel"),
            ("GET", f"/task/{task}/artifacts/art_1"),
        ):
            response = two.request(method, path)
            other = two.request(method, path.replace(task, "task_none"))
            assert response.status_code == other.status_code == 404
            assert response.json()["error"] == other.json()["error"], "not even that the task exists"
        assert two.get("/task").json()["data"] == []
        assert two.get("/usage").json()["cost"] == 0
        # The same idempotency key with another body is another request.
        own = two.post("/task", json={"description": "own"}, headers=headers)
        assert own.status_code == 200
        assert own.json()["id"] != task
        assert two.post("/chat/completions", json=completion, headers=headers).json()["id"] != reply
        assert one.get("/usage").json()["cost"] == 0.5
        assert [listed["id"] for listed in one.get("/task").json()["data"]] == [task]


def test_two_keys_cannot_download_each_others_artifacts(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_bytes(b"secret")
    file = ArtifactFile("secret.md", 6, hashlib.sha256(b"secret").hexdigest(), "2026-11-22T12:00:00.000Z")
    engine = ScriptedEngine(Outcome("completed", artifacts=(file,)))
    with serving(tmp_path, engine) as server, server.client(KEY) as one, server.client(OTHER_KEY) as two:
        task = submit(one).json()
        path = f"/task/{task['id']}/artifacts/{task['artifacts'][0]['id']}"
        assert one.get(path).content == b"secret"
        refused = two.get(path)
        assert refused.status_code == 404
        assert b"secret" not in refused.content


# ---- the decisions


def test_presets_follow_the_reference_page() -> None:
    free, pro, enterprise = PRESETS["free"], PRESETS["pro"], PRESETS["enterprise"]
    assert (set(free.tools or ()), free.agents, free.requests_per_minute, free.max_timeout) == (
        {"Read", "Grep"}, (), 10, 60,
    )  # fmt: skip
    assert set(pro.tools or ()) - set(free.tools or ()) == {"Bash", "Edit", "Write", "Glob"}
    assert (pro.requests_per_minute, pro.max_timeout) == (100, 300)
    assert enterprise == Permissions()


def test_windows_follow_each_other_without_a_gap() -> None:
    window = RateWindow(2, 100.0)
    assert [window.take(at) for at in (100, 130, 159)] == [True, True, False]
    assert window.seconds_left(159.5) == 1
    assert window.remaining(160) == 2
    assert window.seconds_left(290) == 50


def test_budgets_start_anew_with_the_day_and_the_month() -> None:
    now = datetime(2026, 1, 31, 23, 0, tzinfo=UTC)
    spent = {datetime(2026, 1, 31, tzinfo=UTC): 1.0, datetime(2026, 1, 1, tzinfo=UTC): 7.0}
    account = KeyAccount(Permissions(day_budget=2, month_budget=10), spent.__getitem__, lambda: now)
    assert account.left == 1
    account.hold("a", 0.25, 0.5)
    assert account.left == pytest.approx(0.25)
    assert account.busy("b")
    assert not account.busy("a")
    account.settle("a", 0.5)
    assert account.left == pytest.approx(0.5)
    assert account.describe() == "day budget of $2"
    assert account.seconds_left() == 3600
    now -= timedelta(days=1)
    assert account.left == pytest.approx(0.5), "a clock that is set back starts nothing anew"
    now = datetime(2026, 2, 1, tzinfo=UTC)
    assert account.left == 2
    account.settle("c", 2)
    account.settle("d", 8)
    assert account.describe() == "month budget of $10"
    assert account.seconds_left() == 28 * 86_400
