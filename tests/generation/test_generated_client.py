"""Behaviour that the generated package adds to openapi-python-client, tested over real HTTP."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from claude_code_api import AuthenticatedClient
from claude_code_api.api.tasks import create_task, get_task, list_tasks
from claude_code_api.models import AgenticTaskResponse, CreateTaskRequest, Error, TaskList, TaskStatus
from claude_code_api.types import UNSET, Response
from pytest_httpserver import HTTPServer

TASK = {
    "id": "task_1",
    "status": "running",
    "result": {"summary": "so far", "files": [1, 2]},
    "execution_log": [{"timestamp": "2026-11-22T12:00:00Z", "action": "tool_call", "tool": "Bash"}],
    "artifacts": [],
    "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "total_cost": 0.1},
    "created_at": "2026-11-22T12:00:00Z",
}
Call = Callable[..., Response[Any]]


def call_sync(endpoint: ModuleType, client: AuthenticatedClient, **arguments: Any) -> Response[Any]:
    with client:
        response: Response[Any] = endpoint.sync_detailed(client=client, **arguments)
    return response


def call_async(endpoint: ModuleType, client: AuthenticatedClient, **arguments: Any) -> Response[Any]:
    async def call() -> Response[Any]:
        async with client:
            response: Response[Any] = await endpoint.asyncio_detailed(client=client, **arguments)
        return response

    return asyncio.run(call())


both = pytest.mark.parametrize("call", [call_sync, call_async])


@pytest.fixture
def client(httpserver: HTTPServer) -> AuthenticatedClient:
    return AuthenticatedClient(httpserver.url_for("/v1"), token="sk-secret", httpx_args={"trust_env": False})


@both
def test_unknown_enum_values_and_fields_are_kept(
    call: Call, client: AuthenticatedClient, httpserver: HTTPServer
) -> None:
    sent = {**TASK, "status": "paused", "colour": {"red": 1}}
    httpserver.expect_request("/v1/task/task_1").respond_with_json(sent)

    task = call(get_task, client, task_id="task_1").parsed

    assert isinstance(task, AgenticTaskResponse)
    assert isinstance(task.status, TaskStatus)
    assert task.status == "paused"
    assert task["colour"] == {"red": 1}
    assert task.to_dict() == sent


@both
def test_unknown_enum_value_can_be_sent(call: Call, client: AuthenticatedClient, httpserver: HTTPServer) -> None:
    httpserver.expect_oneshot_request("/v1/task", query_string="status=paused").respond_with_json(
        {"data": [], "next_cursor": None}
    )
    page = call(list_tasks, client, status=TaskStatus("paused")).parsed
    assert isinstance(page, TaskList)
    assert page.data == []


@both
def test_status_529_is_parsed_as_an_error(call: Call, client: AuthenticatedClient, httpserver: HTTPServer) -> None:
    body = {"error": {"type": "overloaded_error", "message": "Overloaded.", "retry_after": 5}, "request_id": "req_1"}
    httpserver.expect_request("/v1/task", method="POST").respond_with_json(body, status=529)

    response = call(create_task, client, body=CreateTaskRequest(description="d"))

    assert response.status_code == 529
    assert isinstance(response.parsed, Error)
    assert response.parsed.to_dict() == body


@both
@pytest.mark.parametrize("status", [299, 418, 599])
def test_undocumented_status_is_returned(
    call: Call, client: AuthenticatedClient, httpserver: HTTPServer, status: int
) -> None:
    httpserver.expect_request("/v1/task/task_1").respond_with_data("<html>", status=status)
    response = call(get_task, client, task_id="task_1")
    assert (response.status_code, response.parsed, response.content) == (status, None, b"<html>")


@both
def test_repr_of_a_client_hides_its_key(call: Call, httpserver: HTTPServer) -> None:
    client = AuthenticatedClient(
        httpserver.url_for("/v1"),
        token="sk-secret",
        headers={"X-Other-Key": "sk-secret"},
        cookies={"session": "sk-secret"},
        httpx_args={"trust_env": False, "auth": ("me", "sk-secret")},
    )
    assert "sk-secret" not in repr(client)
    httpserver.expect_request("/v1/task/task_1").respond_with_json(TASK)
    assert call(get_task, client, task_id="task_1").status_code == 200
    assert "sk-secret" not in repr(client)


@pytest.mark.parametrize(
    "clone",
    [copy.copy, copy.deepcopy, *(lambda value, p=p: pickle.loads(pickle.dumps(value, p)) for p in range(6))],
)
def test_models_can_be_pickled_and_copied(clone: Callable[[Any], Any]) -> None:
    request = CreateTaskRequest(description="d")
    assert clone(UNSET) is UNSET
    assert clone(request) == request
    assert clone(request).to_dict() == {"description": "d"}
    for status in ("running", "paused"):
        task = AgenticTaskResponse.from_dict({**TASK, "status": status})
        assert clone(task) == task
        assert clone(task).to_dict() == task.to_dict()


def test_unset_has_a_readable_repr_and_is_false() -> None:
    assert repr(UNSET) == "UNSET"
    assert not UNSET


def test_unknown_enum_value_equals_its_string() -> None:
    paused = TaskStatus("paused")
    assert paused == "paused" == str(paused) == paused.value == f"{paused}"
    assert paused == TaskStatus("paused") != TaskStatus("asleep")
    assert hash(paused) == hash("paused")
    assert json.dumps({"status": paused}) == '{"status": "paused"}'
    assert repr(paused) == "<TaskStatus.UNKNOWN: 'paused'>"
    assert "paused" not in [status.value for status in TaskStatus]
    with pytest.raises(ValueError, match="3 is not a valid TaskStatus"):
        TaskStatus(3)


IMPORT_ENDPOINT = """
import sys
import claude_code_api
assert "httpx" not in sys.modules
from claude_code_api.api.tasks import cancel_task
from claude_code_api import models
assert "claude_code_api.models.usage_report" not in sys.modules
assert "claude_code_api.models.task_usage" not in sys.modules
assert set(models.__all__) <= set(dir(models)) and len(models.__all__) > 30
namespace = {}
exec("from claude_code_api.models import *", namespace)
assert set(models.__all__) <= set(namespace)
assert all(namespace[name].__name__ == name for name in models.__all__)
for module in (models, claude_code_api):
    try:
        module.Missing
    except AttributeError as error:
        assert str(error) == f"module {module.__name__!r} has no attribute 'Missing'"
    else:
        raise AssertionError
assert set(claude_code_api.__all__) <= set(dir(claude_code_api))
"""


def test_endpoint_imports_only_the_models_it_uses() -> None:
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_ENDPOINT], capture_output=True, text=True, timeout=30, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
