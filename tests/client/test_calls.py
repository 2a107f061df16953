"""Client methods against a scripted server: requests sent and results returned."""

from __future__ import annotations

import logging
import socket
import threading
from datetime import UTC, datetime

import pytest
from pytest_httpserver import HTTPServer
from support.clients.client_kinds import KEY, ClientKind
from support.servers import raw_http, responses
from support.servers.httpserver_script import respond
from support.stalls import in_time
from werkzeug import Request, Response

import claude_code_client.errors as errors
from claude_code_client.models import AgenticTaskResponse, CompletionResponse


def test_complete(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    requests = respond(httpserver, {**responses.COMPLETION, "new_field": 1})
    reply = both.call(
        both.client(base_url).complete("What is Python?", model="sonnet", max_tokens=500, temperature=0.7, top_p=1.0)
    )
    assert isinstance(reply, CompletionResponse)
    assert reply.content == "Python is a language."
    assert (reply.model, reply.stop_reason, reply.warnings) == ("claude-sonnet-5-5", "end_turn", ["no temperature"])
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens) == (12, 5, 17)
    assert reply.usage.cost == reply.usage.total_cost == 0.25
    assert reply.extra == {"new_field": 1}
    assert reply.to_dict()["new_field"] == 1
    [request] = requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Idempotency-Key"]
    assert request.headers["User-Agent"].startswith("claude-code-client/")
    assert request.get_json() == {
        "messages": [{"role": "user", "content": "What is Python?"}],
        "model": "sonnet",
        "max_tokens": 500,
        "temperature": 0.7,
        "top_p": 1.0,
    }


def test_complete_accepts_several_turns(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    turns = [{"role": "system", "content": "Short."}, {"role": "user", "content": "Hello"}]
    requests = respond(httpserver, responses.COMPLETION)
    both.call(both.client(base_url).complete(messages=turns, stop=["END"]))
    assert requests[0].get_json() == {"messages": turns, "stop": ["END"]}


def test_execute_task_submits_once_and_polls_until_done(
    both: ClientKind, httpserver: HTTPServer, base_url: str
) -> None:
    requests = respond(
        httpserver,
        (202, responses.task("pending")),
        responses.task("running"),
        responses.task(
            "completed",
            artifacts=[
                {
                    "id": "a",
                    "type": "file",
                    "path": "docs/x.md",
                    "size_bytes": 3,
                    "sha256": "0" * 64,
                    "created_at": "2026-11-22T12:00:00Z",
                }
            ],
        ),
    )
    task = both.call(
        both.client(base_url).execute_task(
            description="Count",
            allow_tools=("Bash",),
            allow_agents=[],
            timeout=60,
            max_cost=0.5,
            context={"project": "myapp"},
        )
    )
    assert isinstance(task, AgenticTaskResponse)
    assert (task.id, task.status, task.result["summary"]) == ("task_1", "completed", "3 files.")
    assert task.result.get("bugs") is None
    assert task.usage.total_cost == task.usage.cost == 0.5
    assert task.artifacts[0].path == "docs/x.md"
    assert task.artifacts[0].created_datetime == datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert task.completed_datetime == datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)
    assert task.execution_log[0]["tool"] == "Bash"
    submit, first_poll, second_poll = requests
    assert (submit.method, submit.path) == ("POST", "/v1/task")
    assert submit.headers["Prefer"] == "respond-async"
    assert submit.headers["Idempotency-Key"]
    assert submit.get_json() == {
        "description": "Count",
        "allow_tools": ["Bash"],
        "allow_agents": [],
        "timeout": 60.0,
        "max_cost": 0.5,
        "context": {"project": "myapp"},
    }
    for poll in (first_poll, second_poll):
        assert (poll.method, poll.path) == ("GET", "/v1/task/task_1")
        assert poll.headers["Prefer"].startswith("wait=")


@pytest.mark.parametrize("status", ["failed", "cancelled", "paused_by_a_newer_server"])
def test_other_terminal_statuses_are_returned(
    both: ClientKind, httpserver: HTTPServer, base_url: str, status: str
) -> None:
    respond(httpserver, responses.task(status))
    assert both.call(both.client(base_url).execute_task("Count")).status == status


@pytest.mark.parametrize(
    ("status", "expected"), [("timeout", errors.TimeoutError), ("cost_exceeded", errors.CostExceededError)]
)
def test_exceeded_limits_raise_with_the_partial_task(
    both: ClientKind, httpserver: HTTPServer, base_url: str, status: str, expected: type[errors.ClaudeAPIError]
) -> None:
    respond(httpserver, responses.task(status, error={"type": f"{status}_error", "message": "Ended."}))
    with pytest.raises(expected) as caught:
        both.call(both.client(base_url).execute_task("Count"))
    assert caught.value.task_id == "task_1"
    assert caught.value.task is not None
    assert caught.value.task.usage.cost == 0.5
    assert caught.value.task.description is None


def test_stream_task(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    requests = respond(
        httpserver,
        (202, responses.task("pending")),
        responses.event_stream(
            responses.event(1, "thinking"),
            b": ping\n\n",
            responses.event(2, "tool_call", tool="Bash", arguments={"command": "ls"}, call_id="1"),
            responses.event(3, "brand_new", more=1),
            responses.result_event(4),
        ),
    )
    events = list(both.each(both.client(base_url).stream_task("Count", allow_tools=["Bash"])))
    assert [event["type"] for event in events] == ["thinking", "tool_call", "brand_new", "result"]
    assert all({"type", "content", "timestamp"} <= event.keys() for event in events)
    assert events[-1]["summary"] == "3 files."
    submit, follow = requests
    assert submit.headers["Prefer"] == "respond-async"
    assert (follow.method, follow.path) == ("GET", "/v1/task/task_1/events")
    assert follow.headers["Accept"] == "text/event-stream"


@pytest.mark.usefixtures("short_backoff")
def test_stream_never_ends_silently(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    respond(httpserver, (202, responses.task("pending")), responses.event_stream(responses.event(1, "thinking")))
    stream = both.each(both.client(base_url).stream_task("Count"))
    assert next(stream)["type"] == "thinking"
    with pytest.raises(errors.StreamInterruptedError) as caught:
        next(stream)
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")


@pytest.mark.slow
def test_terminal_error_event_raises(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    detail = {"type": "cost_exceeded_error", "message": "Too dear.", "estimated_cost": 2.0}
    respond(
        httpserver,
        (202, responses.task("pending")),
        responses.event_stream(responses.event(1, "error", error=detail)),
    )
    with pytest.raises(errors.CostExceededError, match=r"Too dear\.") as caught:
        list(both.each(both.client(base_url).stream_task("Count")))
    assert (caught.value.task_id, caught.value.estimated_cost) == ("task_1", 2.0)


@pytest.mark.slow
def test_unexpected_stream_content_raises(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    respond(httpserver, (202, responses.task("pending")), responses.event_stream(b"data: not json\n\n"))
    with pytest.raises(errors.UnexpectedResponseError, match="not a JSON object"):
        list(both.each(both.client(base_url).stream_task("Count")))


def test_transient_errors_are_retried_with_the_same_key(
    both: ClientKind, httpserver: HTTPServer, base_url: str
) -> None:
    requests = respond(
        httpserver,
        (503, responses.error("overloaded_error"), {"Retry-After": "0"}),
        (429, responses.error("rate_limit_error"), {"Retry-After": "0"}),
        responses.COMPLETION,
    )
    assert both.call(both.client(base_url).complete("Hello")).id == "cmpl_1"
    assert len({request.headers["Idempotency-Key"] for request in requests}) == 1
    assert len(requests) == 3


def test_errors_report_their_attempts(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    respond(
        httpserver, *[(503, responses.error("overloaded_error"), {"Retry-After": "0", "X-Request-Id": "req_7"})] * 3
    )
    with pytest.raises(errors.OverloadedError) as caught:
        both.call(both.client(base_url, max_retries=2).complete("Hello"))
    assert (caught.value.attempts, caught.value.request_id, caught.value.retry_after) == (3, "req_7", 0.0)


def test_budget_errors_are_not_retried(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    requests = respond(
        httpserver, (429, responses.error("cost_exceeded_error", estimated_cost=2.5), {"Retry-After": "0"})
    )
    with pytest.raises(errors.CostExceededError) as caught:
        both.call(both.client(base_url).execute_task("Count"))
    assert caught.value.estimated_cost == 2.5
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>Welcome</html>", "text/html"),
        (b"", "application/json"),
        (b'{"id": "cm', "application/json"),
        (b"{}", "application/json"),
        (b"[1, 2]", "application/json"),
        (b"null", "application/json"),
        (b'{"id": "1", "content": [1], "model": "m", "usage": {}}', "application/json"),
    ],
)
def test_malformed_success_raises(
    both: ClientKind, httpserver: HTTPServer, base_url: str, body: bytes, content_type: str
) -> None:
    respond(httpserver, Response(body, 200, content_type=content_type))
    with pytest.raises(errors.UnexpectedResponseError, match="Check that base_url") as caught:
        both.call(both.client(base_url).complete("Hello"))
    assert caught.value.status_code == 200


def test_connection_refused(both: ClientKind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(errors.APIConnectionError, match=f"http://127.0.0.1:{port}") as caught:
        both.call(both.client(f"http://127.0.0.1:{port}", max_retries=1).complete("Hello"))
    assert caught.value.attempts == 2
    assert caught.value.__context__ is caught.value.__cause__ is None


def test_server_closes_the_connection(both: ClientKind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        port = server.getsockname()[1]

        def hang_up() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(errors.APIConnectionError, match="cut before the response"):
            both.call(both.client(f"http://127.0.0.1:{port}", max_retries=0).complete("Hello"))
        thread.join()


def test_one_timeout_covers_the_whole_call(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    released = threading.Event()

    def stall(_: Request) -> Response:
        released.wait(10)
        return Response("late")

    httpserver.expect_request("/v1/chat/completions").respond_with_handler(stall)
    with pytest.raises(errors.TimeoutError, match="did not end within its timeout"):
        both.call(both.client(base_url).complete("Hello", timeout=0.2))
    released.set()


def test_with_options(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    requests = respond(httpserver, responses.COMPLETION, responses.COMPLETION)
    client = both.client(base_url, headers={"X-Team": "a"})
    other = client.with_options(headers={"X-Run": "7"}, max_retries=0, timeout=9)
    both.call(other.complete("Hello"))
    both.call(other.close())
    both.call(client.complete("Hello"))
    assert [request.headers.get("X-Team") for request in requests] == ["a", "a"]
    assert [request.headers.get("X-Run") for request in requests] == ["7", None]


def test_logs_contain_no_secrets(
    both: ClientKind, httpserver: HTTPServer, base_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    respond(httpserver, responses.COMPLETION)
    both.call(both.client(base_url).complete("CANARY-PROMPT"))
    assert "POST /v1/chat/completions 200" in caplog.text
    for secret in (KEY, "CANARY-PROMPT", "Python is"):
        assert secret not in caplog.text


def test_remaining_read_methods(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "cost": 0.5}
    respond(
        httpserver,
        responses.task("running"),
        responses.task("cancelled"),
        {
            "data": [
                {
                    "id": "claude-x",
                    "alias": "x",
                    "input_price": 1.0,
                    "output_price": 2.0,
                    "context_window": 9,
                    "max_output_tokens": 8,
                    "default": True,
                }
            ]
        },
        {
            "period": "day",
            "start": "s",
            "end": "e",
            **usage,
            "limit": 5.0,
            "remaining": 4.5,
            "models": [{"model": "claude-x", "requests": 1, **usage}],
        },
        {"tools": [{"name": "Read", "description": "Reads"}], "agents": [], "skills": []},
        {"status": "ok", "version": "1", "engine": "claude-code", "spec_version": "1.0.0"},
    )
    client = both.client(base_url)
    assert both.call(client.get_task("task_1")).status == "running"
    assert both.call(client.cancel_task("task_1")).status == "cancelled"
    assert both.call(client.list_models())[0].alias == "x"
    report = both.call(client.get_usage("day"))
    assert (report.usage.cost, report.remaining, report.models[0].usage.total_tokens) == (0.5, 4.5, 3)
    assert both.call(client.get_capabilities()).tools[0].name == "Read"
    health = both.call(client.get_health())
    assert (health.status, health.upstream) == ("ok", None)
    with pytest.raises(errors.InvalidRequestError, match="day, month, week"):
        both.call(client.get_usage("year"))


@pytest.mark.slow
def test_cancel_after_a_failure_keeps_the_deadline(both: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without a deadline of the call, cancelling would take until the server responds.
    monkeypatch.setattr("claude_code_client._operations.task_deadlines.CANCEL_TIMEOUT", 30.0)
    released = threading.Event()

    def handle(request: raw_http.Request) -> list[bytes] | None:
        match request.path.rpartition("/")[2]:
            case "task":
                return raw_http.response(202, responses.task("pending"))
            case "cancel":
                released.wait(raw_http.TIMEOUT)
                return None
        return raw_http.response(200, b"<html>", Content_Type="text/html")

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url, max_retries=0)
        # A tenth of the timeout is left for stopping the task.
        with in_time(2.2), pytest.raises(errors.UnexpectedResponseError) as caught:
            list(both.each(client.stream_task("Count", timeout=2)))
        released.set()
    assert caught.value.task_id == "task_1"
    assert [request.path for request in server.requests][-1] == "/v1/task/task_1/cancel"
