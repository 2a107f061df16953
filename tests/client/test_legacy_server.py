"""REST calls against the legacy service from which the contract's paths come.

It blocks, responds with 200 whatever ``Prefer`` and ``Idempotency-Key`` say, and some of its bodies differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.servers import raw_http

from claude_code_client import errors
from claude_code_client._wire import legacy

COMPLETION: dict[str, Any] = {
    "id": "msg_1",
    "content": "Python is a language.",
    "model": "claude-3-haiku",
    "usage": {"input_tokens": 12, "output_tokens": 5},
    "cost": 0.25,
}
TASK: dict[str, Any] = {
    "task_id": "task_1",
    "status": "completed",
    "result": {"summary": "3 files."},
    "execution_log": [{"action": "Bash", "details": "ls"}],
    "artifacts": [{"type": "file", "path": "report.md"}],
    "usage": {"total_cost": 0.5},
    "completed_at": "2026-11-22T12:00:01",
}


class Older(raw_http.SocketServer):
    """Server whose response to every request is the last one set."""

    def __init__(self) -> None:
        super().__init__(lambda _: self.response)
        self.response: list[bytes] = []

    def set(self, body: Any, status: int = 200) -> None:
        self.response = raw_http.response(status, body)


@pytest.fixture
def older() -> Iterator[Older]:
    with raw_http.serve(Older()) as server:
        yield server


def test_complete(both: ClientKind, older: Older) -> None:
    older.set(COMPLETION)
    reply = both.call(both.client(older.base_url).complete("What is Python?"))
    assert (reply.id, reply.content, reply.model) == ("msg_1", "Python is a language.", "claude-3-haiku")
    assert (reply.stop_reason, reply.stop_sequence, reply.warnings) == (None, None, [])
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens) == (12, 5, 17)
    assert reply.usage.cost == reply.usage.total_cost == 0.25
    assert reply.extra == {}
    [request] = older.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")


@pytest.mark.parametrize(
    ("fields", "cost", "tokens"),
    [
        ({"usage": None}, 0.25, 0),
        ({"usage": {}}, 0.25, 0),
        ({"usage": {"cost": 0.75}}, 0.75, 0),
        ({"usage": {"input_tokens": 1, "output_tokens": None}}, 0.25, 1),
        ({"cost": None}, 0.0, 17),
        ({"stop_reason": None}, 0.25, 17),
        ({"content": [{"type": "text", "text": "Python is "}, {"type": "text", "text": "a language."}]}, 0.25, 17),
    ],
)
def test_completion_variants(both: ClientKind, older: Older, fields: dict[str, Any], cost: float, tokens: int) -> None:
    older.set({**COMPLETION, **fields})
    reply = both.call(both.client(older.base_url).complete("x"))
    assert reply.content == "Python is a language."
    assert (reply.usage.cost, reply.usage.total_tokens) == (cost, tokens)


def test_completion_without_cost_usage_and_id(both: ClientKind, older: Older) -> None:
    older.set({"content": "Hello", "model": "m"})
    reply = both.call(both.client(older.base_url).complete("x"))
    assert (reply.id, reply.content, reply.usage.cost) == ("", "Hello", 0.0)


def test_execute_task_blocks_without_polling(both: ClientKind, older: Older) -> None:
    older.set(TASK)
    task = both.call(both.client(older.base_url).execute_task("Count", allow_tools=["Bash"], context={"a": 1}))
    assert (task.id, task.status, task.is_terminal) == ("task_1", "completed", True)
    assert task.result["summary"] == "3 files."
    assert task.execution_log == [{"timestamp": "", "action": "Bash", "details": "ls"}]
    assert (task.artifacts[0].type, task.artifacts[0].path, task.artifacts[0].size_bytes) == ("file", "report.md", 0)
    assert task.artifacts[0].created_datetime is None
    assert task.usage.cost == task.usage.total_cost == 0.5
    assert (task.usage.input_tokens, task.usage.total_tokens) == (0, 0)
    assert (task.created_at, task.created_datetime, task.description, task.error) == ("", None, None, None)
    assert task.completed_datetime is not None
    assert task.completed_datetime.tzinfo is not None
    assert task.extra == {}
    [request] = older.requests
    assert (request.method, request.path) == ("POST", "/v1/task")
    assert json.loads(request.body)["description"] == "Count"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"usage": None}, {"usage.cost": 0.0}),
        ({"usage": {"total_cost": None}}, {"usage.cost": 0.0}),
        ({"usage": {"total_cost": 0.5, "input_tokens": 3, "output_tokens": 4}}, {"usage.total_tokens": 7}),
        ({"execution_log": None, "artifacts": None}, {"execution_log": [], "artifacts": []}),
        ({"result": None}, {"result": {}}),
        ({"result": "3 files."}, {"result": {"summary": "3 files."}}),
        ({"error": "It broke."}, {"error": {"type": "", "message": "It broke."}}),
        ({"error": None, "status": "failed"}, {"status": "failed", "error": None}),
        ({"created_at": None, "completed_at": None}, {"created_at": "", "completed_at": None}),
        ({"task_id": "task_1", "id": "task_2"}, {"id": "task_2", "extra": {"task_id": "task_1"}}),
        ({"cost_estimate": 1}, {"extra": {"cost_estimate": 1}}),
    ],
)
def test_task_variants(both: ClientKind, older: Older, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    client = both.client(older.base_url)
    older.set({**TASK, **fields})
    tasks = [both.call(call()) for call in (partial(client.execute_task, "x"), partial(client.get_task, "task_1"))]
    older.set({"data": [{**TASK, **fields}], "next_cursor": None})
    tasks += both.each(client.list_tasks())
    assert tasks[0] == tasks[1] == tasks[2]
    for path, value in expected.items():
        found = tasks[0]
        for name in path.split("."):
            found = getattr(found, name)
        assert found == value


def test_get_and_cancel(both: ClientKind, older: Older) -> None:
    client = both.client(older.base_url)
    older.set({"task_id": "task_1", "status": "running", "usage": None})
    task = both.call(client.get_task("task_1"))
    assert (task.id, task.status, task.is_terminal, task.result) == ("task_1", "running", False, {})
    older.set({"task_id": "task_1", "status": "cancelled"})
    assert both.call(client.cancel_task("task_1")).status == "cancelled"
    assert [(request.method, request.path) for request in older.requests] == [
        ("GET", "/v1/task/task_1"),
        ("POST", "/v1/task/task_1/cancel"),
    ]


@pytest.mark.parametrize("body", [[TASK, TASK], {"data": [TASK, TASK]}, {"data": [TASK, TASK], "next_cursor": None}])
def test_list_may_be_a_bare_array(both: ClientKind, older: Older, body: Any) -> None:
    older.set(body)
    assert [task.id for task in both.each(both.client(older.base_url).list_tasks())] == ["task_1", "task_1"]
    assert len(older.requests) == 1


@pytest.mark.parametrize(("status", "error"), [("timeout", "TimeoutError"), ("cost_exceeded", "CostExceededError")])
def test_exceeded_limits_raise(both: ClientKind, older: Older, status: str, error: str) -> None:
    older.set({**TASK, "status": status, "error": "It was too much."})
    with pytest.raises(getattr(errors, error), match="It was too much") as caught:
        both.call(both.client(older.base_url).execute_task("x"))
    assert caught.value.task is not None
    assert caught.value.task.usage.cost == 0.5


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, errors.InvalidRequestError),
        (401, errors.AuthenticationError),
        (403, errors.PermissionError),
        (404, errors.NotFoundError),
        (408, errors.TimeoutError),
        (429, errors.RateLimitError),
        (500, errors.ServerError),
    ],
)
def test_error_bodies_with_a_detail_field(
    both: ClientKind, older: Older, status: int, expected: type[errors.ClaudeAPIError]
) -> None:
    client = both.client(older.base_url, max_retries=0)
    older.set({"detail": "Not with this"}, status)
    for call in (partial(client.complete, "x"), partial(client.execute_task, "x"), partial(client.get_task, "task_1")):
        with pytest.raises(expected, match="Not with this") as caught:
            both.call(call())
        assert (caught.value.status_code, caught.value.body) == (status, {"detail": "Not with this"})


def without_events(task: dict[str, Any], submitted: dict[str, Any] | None = None) -> raw_http.Handler:
    """Respond to submits and GETs with the task; there is no route for events."""

    def handle(request: raw_http.Request) -> Any:
        if request.path.startswith("/v1/task") and not request.path.endswith("/events"):
            return raw_http.response(200, submitted if submitted and request.method == "POST" else task)
        return raw_http.response(404, {"detail": "Not Found"})

    return handle


@pytest.mark.parametrize(
    "submitted", [None, {**TASK, "status": "running", "completed_at": None}], ids=["ended", "runs"]
)
def test_result_event_of_a_server_without_events(both: ClientKind, older: Older, submitted: Any) -> None:
    older.handle = without_events(TASK, submitted)
    client = both.client(older.base_url)
    with client.budget(5) as budget:
        [event] = both.each(client.stream_task("Count"))
        assert (event["type"], event["status"], event["summary"]) == ("result", "completed", "3 files.")
        assert (event["content"], event["timestamp"]) == ("3 files.", "2026-11-22T12:00:01")
        assert (event["usage"]["total_cost"], event["artifacts"][0]["path"]) == (0.5, "report.md")
        seen: list[Any] = []
        task = both.call(client.execute_task("Count", on_event=seen.append))
        assert (task.status, seen) == ("completed", [event])
        assert (budget.reserved, budget.spent) == (0, 1)


@pytest.mark.parametrize(("status", "error"), [("timeout", "TimeoutError"), ("cost_exceeded", "CostExceededError")])
def test_exceeded_limits_raise_without_events(both: ClientKind, older: Older, status: str, error: str) -> None:
    older.handle = without_events({**TASK, "status": status, "error": "It was too much."})
    client = both.client(older.base_url)
    with pytest.raises(getattr(errors, error), match="It was too much"):
        list(both.each(client.stream_task("x")))
    with pytest.raises(getattr(errors, error), match="It was too much"):
        both.call(client.execute_task("x", on_event=str))


@pytest.mark.parametrize(("status", "detail"), [(404, "Not Found"), (405, "Method Not Allowed")])
def test_missing_route_is_not_supported(both: ClientKind, older: Older, status: int, detail: str) -> None:
    older.set({"detail": detail}, status)
    client = both.client(older.base_url)
    with client.budget(5) as budget:
        for call in (
            client.list_models,
            client.get_usage,
            client.get_capabilities,
            client.get_health,
            lambda: next(both.each(client.list_tasks())),
            lambda: next(both.each(client.stream_events("task_1"))),
        ):
            with pytest.raises(errors.NotSupportedError, match=r"no such route.*server's version") as caught:
                both.call(call())
            assert (caught.value.status_code, caught.value.attempts) == (status, 1)
        assert (budget.reserved, budget.spent) == (0, 0)


@pytest.mark.parametrize("models", [None, []], ids=["no route", "no models"])
def test_completion_in_a_budget_needs_prices(both: ClientKind, older: Older, models: Any) -> None:
    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith("/models"):
            return (
                raw_http.response(404, {"detail": "Not Found"})
                if models is None
                else raw_http.response(200, {"data": models})
            )
        return raw_http.response(200, COMPLETION)

    older.handle = handle
    client = both.client(older.base_url)
    with client.budget(5) as budget:
        calls: list[Any] = [partial(client.complete, "x"), lambda: next(both.each(client.stream_complete("x")))]
        for call in calls:
            with pytest.raises(errors.NotSupportedError, match=r"prices.*nothing was sent.*outside of the budget"):
                both.call(call())
        assert (budget.reserved, budget.spent) == (0, 0)
    assert all(request.method == "GET" for request in older.requests)
    assert both.call(client.complete("x")).usage.cost == 0.25


def test_artifact_without_an_id_cannot_be_downloaded(both: ClientKind, older: Older, tmp_path: Path) -> None:
    older.set(TASK)
    client = both.client(older.base_url)
    task = both.call(client.get_task("task_1"))
    [artifact] = task.artifacts
    assert (artifact.id, artifact.path) == ("", "report.md")
    read = artifact.read_bytes if both.kind == "sync" else artifact.aread_bytes
    calls: list[Any] = [partial(client.download_artifact, task, artifact, to=tmp_path), read]
    for call in calls:
        with pytest.raises(errors.NotSupportedError, match=r"without an ID.*nothing was sent"):
            both.call(call())
    assert len(older.requests) == 1


def test_contract_bodies_are_unchanged() -> None:
    usage = {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10}
    task = {
        "id": "task_1",
        "status": "completed",
        "result": {},
        "execution_log": [{"timestamp": "t", "action": "a"}],
        "artifacts": [{"id": "a", "type": "file", "path": "x", "size_bytes": 1, "sha256": "s", "created_at": "c"}],
        "usage": {**usage, "total_cost": 0.5},
        "error": None,
        "created_at": "c",
    }
    completion = {"id": "1", "content": "x", "model": "m", "usage": {**usage, "cost": 0.5}}
    assert legacy.task(task) == task
    assert legacy.completion(completion) == completion
    assert legacy.task_list({"data": [task], "next_cursor": "2"}) == {"data": [task], "next_cursor": "2"}
