"""Every status, error type and body, over real sockets: each raises an exception of this library."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from claude_code_api.api.account import get_capabilities, get_usage, list_models
from claude_code_api.api.completions import create_completion
from claude_code_api.api.system import get_health
from claude_code_api.api.tasks import cancel_task, create_task, get_task, list_tasks
from claude_code_api.models import CreateCompletionRequest, CreateTaskRequest, Message, Role
from pytest_httpserver import HTTPServer
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses

from claude_code_client import errors
from claude_code_client._policy.reconnect import MAX_RECONNECTS
from claude_code_client.errors import ClaudeAPIError
from claude_code_common.error_types import ERROR_TYPE_BY_STATUS

BY_STATUS = {
    302: errors.UnexpectedResponseError,
    304: errors.UnexpectedResponseError,
    400: errors.InvalidRequestError,
    401: errors.AuthenticationError,
    402: errors.CostExceededError,
    403: errors.PermissionError,
    404: errors.NotFoundError,
    408: errors.TimeoutError,
    409: errors.ConflictError,
    413: errors.InvalidRequestError,
    418: errors.InvalidRequestError,
    422: errors.InvalidRequestError,
    429: errors.RateLimitError,
    500: errors.ServerError,
    501: errors.NotSupportedError,
    502: errors.ServerError,
    503: errors.OverloadedError,
    529: errors.OverloadedError,
    599: errors.ServerError,
}
BY_TYPE = {
    "invalid_request_error": errors.InvalidRequestError,
    "request_too_large": errors.InvalidRequestError,
    "authentication_error": errors.AuthenticationError,
    "permission_error": errors.PermissionError,
    "not_found_error": errors.NotFoundError,
    "timeout_error": errors.TimeoutError,
    "idempotency_error": errors.ConflictError,
    "rate_limit_error": errors.RateLimitError,
    "cost_exceeded_error": errors.CostExceededError,
    "not_implemented_error": errors.NotSupportedError,
    "overloaded_error": errors.OverloadedError,
    "server_error": errors.ServerError,
}
JSON, HTML = "application/json", "text/html; charset=utf-8"
# Name → what comes, as what, and what of it the exception's message has; None: the status is all there is.
UNTYPED: dict[str, tuple[bytes, str, str | None]] = {
    "new type": (b'{"error": {"type": "brand_new_error", "message": "Newer."}}', JSON, "Newer"),
    "detail": (b'{"detail": "Not like this"}', JSON, "Not like this"),
    "details": (
        b'{"detail": [{"loc": ["body", "description"], "msg": "field required", "type": "missing"}]}',
        JSON,
        "body.description: field required",
    ),
    "odd details": (b'{"detail": [1, null, {}, {"loc": 3, "msg": ["x"]}]}', JSON, "not valid"),
    "error is text": (b'{"error": "Sorry"}', JSON, "Sorry"),
    "message": (b'{"message": "Sorry"}', JSON, "Sorry"),
    "odd error": (b'{"error": {"type": 5, "message": ["x"], "estimated_cost": "much", "retry_after": {}}}', JSON, None),
    "html": (b"<html><body><h1>Gateway</h1></body></html>", HTML, None),
    "empty": (b"", JSON, None),
    "truncated": (b'{"error": {"type": "rate_limit_error", "mess', JSON, None),
    "typed as html": (b'{"detail": "Not like this"}', HTML, "Not like this"),
    "array": (b"[1, 2]", JSON, None),
    "null": (b"null", JSON, None),
    "number": (b"5", JSON, None),
    "string": (b'"no"', JSON, None),
    "nested": (b"[" * 100_000, JSON, None),
    "nested and closed": (b"[" * 900 + b"]" * 900, JSON, None),
    "nested deeply and closed": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, JSON, None),
    "not utf-8": (b'{"detail": "\xff\xfe"}', JSON, None),
    "binary": (bytes(range(256)), "application/octet-stream", None),
    "huge numbers": (b'{"error": {"estimated_cost": ' + b"9" * 4000 + b', "retry_after": 1e999}}', JSON, None),
    "half a surrogate pair": (b'{"detail": "\\ud800 is half"}', JSON, "is half"),
}
NO_BODY = {204, 304}

# Endings that would come from generated or library code.
BARE = (json.JSONDecodeError, KeyError, AttributeError, TypeError, UnicodeError, RecursionError)


class Server(raw_http.SocketServer):
    """Server whose response to every request is the last one set."""

    def __init__(self) -> None:
        super().__init__(lambda _: self.response)
        self.response: list[bytes] = []

    def set(self, status: int, body: Any, content_type: str = JSON, **headers: str) -> None:
        empty = status in NO_BODY
        self.response = raw_http.response(status, b"" if empty else body, Content_Type=content_type, **headers)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with raw_http.serve(Server()) as running:
        yield running


def failure_of(both: ClientKind, call: Any, attempts: int = 1) -> ClaudeAPIError:
    """Return the exception that a call raises; others than this library's fail the test."""
    with pytest.raises(ClaudeAPIError) as caught:
        both.call(call())
    error = caught.value
    assert not isinstance(error, BARE)
    assert error.__cause__ is error.__context__ is None
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
    str(error).encode()
    assert error.message
    assert error.attempts == attempts
    return error


def ways(both: ClientKind, client: Any) -> dict[str, Any]:
    """Return every way to make a call, by name."""
    messages = [Message(role=Role.USER, content="x")]
    direct: dict[Any, dict[str, Any]] = {
        create_completion: {"body": CreateCompletionRequest(messages=messages)},
        create_task: {"body": CreateTaskRequest(description="x")},
        get_task: {"task_id": "task_1"},
        cancel_task: {"task_id": "task_1"},
        list_tasks: {},
        list_models: {},
        get_usage: {},
        get_capabilities: {},
        get_health: {},
    }

    def first(stream: Any) -> Any:
        return lambda: next(both.each(stream()))

    def endpoint(module: Any, arguments: dict[str, Any]) -> Any:
        return lambda: both.endpoint(module)(client=client.api, **arguments)

    return {
        "complete": lambda: client.complete("x"),
        "stream_complete": first(lambda: client.stream_complete("x")),
        "execute_task": lambda: client.execute_task("x"),
        "stream_task": first(lambda: client.stream_task("x")),
        "get_task": lambda: client.get_task("task_1"),
        "cancel_task": lambda: client.cancel_task("task_1"),
        "list_tasks": first(client.list_tasks),
        "list_models": client.list_models,
        "get_usage": client.get_usage,
        "get_capabilities": client.get_capabilities,
        "get_health": client.get_health,
        **{
            f"api {module.__name__.rpartition('.')[2]}": endpoint(module, arguments)
            for module, arguments in direct.items()
        },
    }


@pytest.fixture
def calls(both: ClientKind, server: Server) -> dict[str, Any]:
    return ways(both, both.client(server.base_url, max_retries=0))


@pytest.mark.parametrize("status", BY_STATUS)
def test_status_with_every_kind_of_body(both: ClientKind, server: Server, calls: dict[str, Any], status: int) -> None:
    """Each client takes every second body, the other one at the next status."""
    names = itertools.cycle(calls)
    first = (list(BY_STATUS).index(status) + (both.kind == "async")) % 2
    for shape, (body, content_type, said) in list(UNTYPED.items())[first::2]:
        server.set(status, body, content_type, X_Request_Id="req_7", Retry_After="7")
        name = next(names)
        error = failure_of(both, calls[name])
        where = f"{status}, {shape}, {name}"
        assert type(error) is BY_STATUS[status], where
        assert (error.status_code, error.request_id, error.retry_after) == (status, "req_7", 7.0), where
        assert error.error_type == ("brand_new_error" if shape == "new type" and status not in NO_BODY else None), where
        assert f"status {status}" in str(error), where
        if status in NO_BODY or not body:
            assert error.body is None, where
            continue
        assert body == b"null" or error.body not in (None, ""), where
        if said is not None and status >= 400:
            assert said in error.message, where


@pytest.mark.parametrize("type_", BY_TYPE)
@pytest.mark.parametrize("status", [402, 429, 503])
def test_error_type_takes_precedence_over_every_status(
    both: ClientKind, server: Server, calls: dict[str, Any], type_: str, status: int
) -> None:
    body = responses.error(type_, "That was far too much.", param="max_cost", estimated_cost=2.5, retry_after=3)
    server.set(status, body, X_Request_Id="req_8")
    for name in ("execute_task", "stream_complete", "api get_task"):
        error = failure_of(both, calls[name])
        assert type(error) is BY_TYPE[type_]
        assert (error.status_code, error.error_type, error.request_id) == (status, type_, "req_8")
        assert (error.param, error.estimated_cost, error.retry_after) == ("max_cost", 2.5, 3.0)
        assert error.message.startswith("That was far too much.")
        assert error.body == body


def test_shared_status_table_agrees() -> None:
    assert set(ERROR_TYPE_BY_STATUS.values()) <= BY_TYPE.keys()
    for status, type_ in ERROR_TYPE_BY_STATUS.items():
        assert BY_TYPE[type_] is BY_STATUS.get(status, errors.InvalidRequestError), status


def test_every_call_raises_the_same_exception(both: ClientKind, server: Server, calls: dict[str, Any]) -> None:
    server.set(403, responses.error("permission_error", "Not Bash."))
    for name, call in calls.items():
        error = failure_of(both, call)
        assert type(error) is errors.PermissionError, name
        assert error.message.startswith("Not Bash. Check what the key may do"), name
        assert error.task_id == ("task_1" if name in ("get_task", "cancel_task") else None), name


NO_SUCCESS: dict[str, tuple[int, bytes, str]] = {
    "html": (200, b"<html><body>Welcome</body></html>", HTML),
    "empty": (200, b"", JSON),
    "nothing": (204, b"", JSON),
    "truncated": (200, b'{"id": "task_1", "status": "compl', JSON),
    "array": (200, b"[1, 2]", JSON),
    "array of objects": (200, b"[{}]", JSON),
    "null": (200, b"null", JSON),
    "number": (200, b"5", JSON),
    "string": (200, b'"completed"', JSON),
    "object": (200, b"{}", JSON),
    "another object": (200, b'{"hello": "world", "data": 3}', JSON),
    "an error": (200, b'{"error": {"type": "server_error", "message": "No."}}', JSON),
    "fields of other types": (
        200,
        b'{"id": {}, "status": 5, "result": 3, "execution_log": 4, "artifacts": 5, "usage": "much", "content": 6,'
        b' "model": [], "created_at": 8, "data": {"a": 1}, "next_cursor": 9, "tools": 1, "models": 2}',
        JSON,
    ),
    "items of other types": (
        200,
        b'{"id": "1", "status": "completed", "result": {}, "execution_log": [1], "artifacts": ["x"], "usage": {},'
        b' "created_at": "", "content": [1], "model": "m", "data": [1], "tools": [1], "models": [1]}',
        JSON,
    ),
    "nested": (200, b"[" * 100_000, JSON),
    "not utf-8": (200, b'{"id": "\xff"}', JSON),
    "binary": (200, bytes(range(256)), "application/octet-stream"),
    "another status": (206, b'{"id": "1"}', JSON),
}


@pytest.mark.parametrize("shape", NO_SUCCESS)
def test_malformed_success(both: ClientKind, server: Server, calls: dict[str, Any], shape: str) -> None:
    """Each client makes every second call, the other one with the next shape."""
    status, body, content_type = NO_SUCCESS[shape]
    server.set(status, body, content_type, X_Request_Id="req_9")
    first = (list(NO_SUCCESS).index(shape) + (both.kind == "async")) % 2
    for name, call in list(calls.items())[first::2]:
        if name == "list_tasks" and shape == "array":
            continue
        if name == "stream_complete":
            with pytest.raises((errors.StreamInterruptedError, errors.UnexpectedResponseError)):
                both.call(call())
            continue
        with pytest.raises(errors.UnexpectedResponseError, match="Check that base_url") as caught:
            both.call(call())
        error = caught.value
        assert (error.status_code, error.request_id) == (status, "req_9"), name
        assert (error.body is None) is (body == b""), name
        pickle.loads(pickle.dumps(error))
        copy.deepcopy(error)


USAGE = b'"usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "cost": 1, "total_cost": 1}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": 5, "content": "x", "model": "m", ' + USAGE + b"}",
        b'{"id": "1", "content": 5, "model": "m", ' + USAGE + b"}",
        b'{"id": "1", "content": "x", "model": null, ' + USAGE + b"}",
        b'{"id": "1", "content": "x", "model": "m", "usage": {"input_tokens": "many"}}',
        b'{"id": "1", "content": "x", "model": "m", "usage": {"cost": "free"}}',
        b'{"id": "1", "content": "x", "model": "m", "usage": []}',
    ],
)
def test_completion_with_wrong_field_types_raises(
    both: ClientKind, server: Server, calls: dict[str, Any], body: bytes
) -> None:
    server.set(200, body)
    assert isinstance(failure_of(both, calls["complete"]), errors.UnexpectedResponseError)


@pytest.mark.parametrize(
    "fields",
    [
        {"id": 5},
        {"status": None},
        {"status": 5},
        {"result": [1]},
        {"execution_log": 5},
        {"artifacts": [{"path": 5}]},
        {"artifacts": [{"path": "x", "size_bytes": "large"}]},
        {"artifacts": [{}]},
        {"usage": {"total_cost": "free"}},
        {"usage": "free"},
        {"error": 5},
        {"created_at": 5},
        {"completed_at": 5},
    ],
)
def test_task_with_wrong_field_types_raises(
    both: ClientKind, server: Server, calls: dict[str, Any], fields: dict[str, Any]
) -> None:
    server.set(200, responses.task(**fields))
    for name in ("execute_task", "get_task", "cancel_task", "stream_task"):
        assert isinstance(failure_of(both, calls[name]), errors.UnexpectedResponseError)
    server.set(200, {"data": [responses.task(**fields)], "next_cursor": None})
    assert isinstance(failure_of(both, calls["list_tasks"]), errors.UnexpectedResponseError)


@pytest.mark.parametrize("status", [200, 500])
def test_undecodable_body(both: ClientKind, server: Server, calls: dict[str, Any], status: int) -> None:
    server.set(status, b"this is not gzip", Content_Encoding="gzip")
    for name in ("complete", "stream_task", "api get_task"):
        assert isinstance(failure_of(both, calls[name]), errors.UnexpectedResponseError), name


@pytest.mark.usefixtures("short_backoff")
def test_error_while_waiting_names_the_task(both: ClientKind, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/task").respond_with_json(responses.task("pending"), status=202)
    httpserver.expect_request("/v1/task/task_1").respond_with_json(responses.error("server_error"), status=500)
    httpserver.expect_request("/v1/task/task_1/events").respond_with_data("<html>", status=502)
    client = both.client(httpserver.url_for("/v1"), max_retries=0)
    waiting = failure_of(both, lambda: client.execute_task("Count"), 1 + MAX_RECONNECTS)
    assert waiting.task_id == "task_1"
    assert waiting.task is not None
    assert (waiting.task.status, waiting.task.description) == ("pending", None)
    following = failure_of(both, lambda: next(both.each(client.stream_task("Count"))), 1 + MAX_RECONNECTS)
    assert (type(following), following.task_id) == (errors.ServerError, "task_1")


def test_page_that_links_to_itself_ends_the_list(both: ClientKind, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/task").respond_with_json({"data": [responses.task()], "next_cursor": "again"})
    tasks = both.each(both.client(httpserver.url_for("/v1")).list_tasks())
    assert [next(tasks).id, next(tasks).id] == ["task_1", "task_1"]
    with pytest.raises(errors.UnexpectedResponseError, match="itself as the next page"):
        next(tasks)
