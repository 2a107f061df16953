"""Generated endpoint functions on the client's transport."""

from __future__ import annotations

import asyncio

import pytest
from claude_code_api.api.account import list_models
from claude_code_api.api.tasks import create_task, get_task
from claude_code_api.models import AgenticTaskResponse as GeneratedTask
from claude_code_api.models import CreateTaskRequest
from pytest_httpserver import HTTPServer
from support.clients.client_kinds import KEY, ClientKind
from support.servers import responses
from support.servers.httpserver_script import respond

import claude_code_client.errors as errors


def test_generated_endpoints_use_the_clients_transport(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    requests = respond(
        httpserver,
        (503, responses.error("overloaded_error"), {"Retry-After": "0"}),
        responses.task("completed", new_field=1),
        (401, responses.error("authentication_error", "Invalid API key.")),
        (529, "Overloaded", {"Retry-After": "500"}),
    )
    api = both.client(base_url).api
    response = both.call(both.endpoint(get_task)("task_1", client=api, prefer="wait=1"))
    assert response.status_code == 200
    assert isinstance(response.parsed, GeneratedTask)
    assert response.parsed.additional_properties == {"new_field": 1}
    assert [request.headers["Authorization"] for request in requests] == [f"Bearer {KEY}"] * 2
    with pytest.raises(errors.AuthenticationError, match=r"Invalid API key\. Check CLAUDE_API_KEY"):
        both.call(both.endpoint(list_models)(client=api))
    with pytest.raises(errors.OverloadedError) as caught:
        both.call(both.endpoint(create_task)(client=api, body=CreateTaskRequest(description="x")))
    assert (caught.value.status_code, caught.value.retry_after) == (529, 500.0)


def test_generated_endpoints_accept_extra_headers(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    requests = respond(httpserver, *[responses.task()] * 3)
    api = both.client(base_url).api
    for client in (api.with_headers({"X-Team": "a"}), api.with_cookies({"c": "1"}), api.with_timeout(5.0)):
        both.call(both.endpoint(get_task)("task_1", client=client))
    assert [request.headers.get("X-Team") for request in requests] == ["a", None, None]
    assert [request.headers.get("Cookie") for request in requests] == [None, "c=1", None]
    assert [request.headers["Authorization"] for request in requests] == [f"Bearer {KEY}"] * 3
    assert KEY not in repr(api)


def test_endpoint_function_of_the_wrong_kind_raises(both: ClientKind) -> None:
    api = both.client("http://127.0.0.1:9").api

    def call_the_wrong_one() -> None:
        if both.kind == "async":
            get_task.sync_detailed("task_1", client=api)
        else:
            asyncio.run(get_task.asyncio_detailed("task_1", client=api))

    with pytest.raises(errors.ConfigurationError, match="api of a"):
        call_the_wrong_one()
