"""Programs that use the additions of a changed contract, to run with the packages generated from it.

Each function is a program. It makes its calls with both clients and returns what they return. The programs that run in
one process are printed as one JSON object.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from pydoc import render_doc
from typing import Any, Final, cast

import claude_code_api
from claude_code_api import events

import claude_code_client
from claude_code_client import ClaudeAPIError, ClaudeClient, InvalidRequestError
from claude_code_server.domain.engine_protocol import EventType
from support.clients import program
from support.clients.client_kinds import ClientKind, open_client_kind
from support.servers import raw_http, responses
from support.servers.embedded_server import KEY, serving
from support.servers.scripted_engine import Emitted, ScriptedEngine

_MODULE: Final = "support.clients.evolution_program"
TASK_METHODS: Final = ("execute_task", "stream_task", "submit_task")
TODOS: Final = [{"text": "Read the code", "state": "done"}, {"text": "Fix it", "state": "open"}]
EXTRA: Final = {"name": "worker-7", "region": "north"}


def run(python_path: str, *names: str) -> dict[str, Any]:
    """Run programs in one process that imports the packages from ``python_path``; return their results by name."""
    environment = program.environment()
    environment["PYTHONPATH"] = os.pathsep.join([python_path, environment["PYTHONPATH"]])
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            program.command(_MODULE, *names),
            env={**environment, "HOME": home},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def with_both(call: Callable[[ClientKind], Any]) -> dict[str, Any]:
    """Return the results of a call with each kind of client."""
    found = {}
    for kind in ("sync", "async"):
        with open_client_kind(kind) as both:
            found[kind] = call(both)
    return found


def packages() -> list[str]:
    """Return the directories that the packages are imported from, in this process and in a server's."""
    server = importlib.import_module("claude_code_server")
    return [str(Path(package.__file__ or "").parents[1]) for package in (claude_code_client, claude_code_api, server)]


def response_fields() -> dict[str, Any]:
    """Get a task from a server that sends new fields."""
    usage = {**responses.task()["usage"], "cached_tokens": 4}
    body = responses.task(worker=EXTRA, usage=usage)

    def get_task(both: ClientKind) -> Any:
        task = both.call(both.client(server.base_url).get_task("task_1"))
        return {"extra": task.extra, "usage": task.usage.extra, "dict": task.to_dict()}

    with raw_http.serve(raw_http.SocketServer(lambda _: raw_http.response(200, body))) as server:
        return with_both(get_task)


def event_type() -> dict[str, Any]:
    """Stream a task whose engine emits an event of a new type, from the embedded server."""
    event = Emitted(cast("EventType", "todo_update"), {"content": "1 of 2 done", "phase": "work", "todos": TODOS})

    def stream_task(both: ClientKind) -> Any:
        client = both.client(server.base_url, api_key=KEY)
        streamed = list(both.each(client.stream_task("Do it.")))
        [task] = both.each(client.list_tasks())
        return {"events": streamed, "log": task.execution_log}

    found = {}
    for kind in ("sync", "async"):
        with (
            tempfile.TemporaryDirectory() as workspace,
            serving(Path(workspace), ScriptedEngine(event)) as server,
            open_client_kind(kind) as both,
        ):
            found[kind] = stream_task(both)
    typed = getattr(events, "TodoUpdateEvent", None)
    return {**found, "typed": typed is not None and sorted(typed.__required_keys__)}


def endpoint() -> dict[str, Any]:
    """Call a new endpoint through ``client.api``."""
    module = importlib.import_module("claude_code_api.api.tasks.get_task_summary")
    body = {"text": "3 files.", "words": 2}

    def get_summary(both: ClientKind) -> Any:
        api = both.client(server.base_url).api
        response = both.call(both.endpoint(module)(client=api, task_id="task_1"))
        return {"text": response.parsed.text, "words": response.parsed.words, "path": server.requests[-1].path}

    with raw_http.serve(raw_http.SocketServer(lambda _: raw_http.response(200, body))) as server:
        return with_both(get_summary)


def enum_values() -> dict[str, Any]:
    """Send new enum values in requests, and receive them in responses."""
    task = responses.task("paused", completed_at=None)
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "cost": 0.5}
    report: dict[str, Any] = {
        "period": "year",
        "start": "",
        "end": "",
        "limit": None,
        "remaining": None,
        "models": [],
        **usage,
    }
    bodies = {"/v1/task": {"data": [task], "next_cursor": None}, "/v1/usage": report}

    def handle(request: raw_http.Request) -> list[bytes]:
        return raw_http.response(200, bodies.get(request.path.partition("?")[0], responses.COMPLETION))

    def call(both: ClientKind) -> Any:
        client = both.client(server.base_url)
        [listed] = both.each(client.list_tasks(status="paused"))
        usage = both.call(client.get_usage("year"))
        both.call(client.complete(messages=[{"role": "developer", "content": "a"}]))
        sent = [request.path for request in server.requests[-3:]]
        roles = [message["role"] for message in json.loads(server.requests[-1].body)["messages"]]
        values = (listed.status, usage.period)
        return {"values": values, "types": [type(value).__name__ for value in values], "sent": sent, "roles": roles}

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        return with_both(call)


def embedded_server() -> dict[str, Any]:
    """Use the embedded server: a task with the new field and the offline model, and what it does with each addition."""

    def call(both: ClientKind, local: ClaudeClient, task_id: str) -> Any:
        client = both.client(local.base_url, api_key=api_key(local))
        module = importlib.import_module("claude_code_api.api.tasks.get_task_summary")
        messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
        return {
            "endpoint": error(both, lambda: both.endpoint(module)(client=client.api, task_id=task_id)),
            "paused": list(both.each(client.list_tasks(status="paused"))),
            "period": error(both, lambda: client.get_usage("year")),
            "role": both.call(client.complete(messages=messages)).stop_reason,
        }

    with local_client() as local:
        # The field is known only after the edit by hand.
        execute_task: Any = local.execute_task
        task = execute_task("Count Python files in src/", ["Bash"], priority=3)
        found = with_both(lambda both: call(both, local, task.id))
    return {**found, "status": task.status, "summary": task.result["summary"]}


def task_field_checked() -> dict[str, Any]:
    """Pass a new task field to a scripted server: sent if it is valid, rejected by the client otherwise."""

    def handle(request: raw_http.Request) -> Iterable[bytes]:
        if request.path.endswith("/events"):
            return raw_http.event_stream(responses.result_event(1))
        return raw_http.response(200, responses.task())

    def call(both: ClientKind) -> Any:
        with raw_http.serve(raw_http.SocketServer(handle)) as server:
            client = both.client(server.base_url)
            found: dict[str, Any] = {"errors": [], "listed": [], "explained": []}
            for name in TASK_METHODS:
                method = getattr(client, name)
                try:
                    both.call(method("Do it.", priority=9))
                except InvalidRequestError as raised:
                    found["errors"].append([name, raised.param, raised.message])
                text = render_doc(method)
                if "priority" in inspect.signature(method).parameters and "priority: 'int | None' = None" in text:
                    found["listed"].append(name)
                if " priority: From 1 to 5." in text:
                    found["explained"].append(name)
            found["requests"] = len(server.requests)
            both.call(client.execute_task("Do it.", priority=3))
            list(both.each(client.stream_task("Do it.", priority=4)))
            both.call(both.call(client.submit_task("Do it.", priority=5)).detach())
            posts = [request for request in server.requests if request.method == "POST"]
            found["sent"] = [json.loads(request.body)["priority"] for request in posts]
        return found

    return with_both(call)


def task_field_served() -> dict[str, Any]:
    """Pass a new task field to the embedded server, with each method and over plain HTTP."""

    def call(both: ClientKind) -> Any:
        client = both.client(server.base_url, api_key=KEY)
        executed = both.call(client.execute_task("Do it.", priority=3))
        *_, last = both.each(client.stream_task("Do it.", priority=3))
        handle = both.call(client.submit_task("Do it.", priority=3))
        submitted = both.call(handle.wait())
        return [executed.status, last["status"], submitted.status]

    with tempfile.TemporaryDirectory() as workspace, serving(Path(workspace), ScriptedEngine()) as server:
        served = with_both(call)
        with server.client() as raw:
            response = raw.post("/task", json={"description": "Do it.", "priority": 9})
    return {**served, "raw": [response.status_code, response.json()["error"]["param"]]}


def error(both: ClientKind, call: Callable[[], Any]) -> list[Any]:
    """Return the class and status of the exception that a call raises."""
    try:
        both.call(call())
    except ClaudeAPIError as raised:
        return [type(raised).__name__, raised.status_code]
    return []


def local_client() -> ClaudeClient:
    """Return a client with an embedded server and a workspace with two Python files."""
    workspace = Path.home() / "workspace"
    for name in ("src/a.py", "src/b.py"):
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('"""A module."""\n', encoding="utf-8")
    return ClaudeClient.local(workspace)


def api_key(local: ClaudeClient) -> str:
    """Return the key of a client's embedded server."""
    assert local._server is not None
    return local._server.api_key


PROGRAMS: Final = {
    each.__name__: each
    for each in (
        packages, response_fields, event_type, endpoint, enum_values, embedded_server, task_field_checked,
        task_field_served,
    )
}  # fmt: skip

if __name__ == "__main__":
    json.dump({name: PROGRAMS[name]() for name in sys.argv[1:]}, sys.stdout)
