"""Additions to the contract: `make generate`, and the files that must be edited by hand until both clients use them."""

from __future__ import annotations

from typing import Any

import pytest
from generation.generator import changed_spec
from support.clients import evolution_program as programs
from support.project_copy import ProjectCopy

pytestmark = [pytest.mark.xdist_group("evolution"), pytest.mark.timeout(180)]

OPTIONS = "claude_code_client/_client/options.py"
REFERENCE = "docs/api-reference.md"
HAND_EDIT = (
    ("        idempotency_key: Calls with the same key run one task.", "        priority: From 1 to 5. Default: 3.\n"),
    ("    extra_headers: Mapping[str, str] | None\n\n\nclass CompletionOptions", "    priority: int | None\n"),
)
"""Lines of TaskOptions, each inserted before a text that occurs once: one of documentation, one of code."""


def extend(document: dict[str, Any]) -> None:
    """Make all five kinds of additions to the contract."""
    schemas = document["components"]["schemas"]
    # A task field.
    schemas["CreateTaskRequest"]["properties"]["priority"] = {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": 5,
        "x-default": 3,
        "description": "Tasks with a higher priority start first. Defaults to `3`.",
    }
    # Response fields: an object, and a field of a nested object.
    schemas["Worker"] = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "region": {"type": "string", "enum": ["north", "south"]}},
    }
    schemas["AgenticTaskResponse"]["properties"]["worker"] = {"$ref": "#/components/schemas/Worker"}
    schemas["TaskUsage"]["properties"]["cached_tokens"] = {"type": "integer"}
    # An event type, with nested objects and an enum.
    todo = {"text": {"type": "string"}, "state": {"type": "string", "enum": ["open", "done"]}}
    schemas["Todo"] = {"type": "object", "required": ["text", "state"], "properties": todo}
    schemas["TodoUpdateEvent"] = {
        "type": "object",
        "description": "The agent changed its list of things to do.",
        "required": ["type", "timestamp", "content", "todos"],
        "properties": {
            "type": {"const": "todo_update"},
            "timestamp": {"type": "string"},
            "content": {"type": "string"},
            "todos": {"type": "array", "items": {"$ref": "#/components/schemas/Todo"}},
            "phase": {"type": "string", "enum": ["plan", "work"]},
        },
    }
    reference = "#/components/schemas/TodoUpdateEvent"
    schemas["TaskEvent"]["oneOf"].append({"$ref": reference})
    schemas["TaskEvent"]["discriminator"]["mapping"]["todo_update"] = reference
    # An endpoint.
    schemas["TaskSummary"] = {
        "type": "object",
        "required": ["text", "words"],
        "properties": {"text": {"type": "string"}, "words": {"type": "integer"}},
    }
    get_task = document["paths"]["/task/{task_id}"]["get"]
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/TaskSummary"}}}
    document["paths"]["/task/{task_id}/summary"] = {
        "get": {
            "operationId": "get_task_summary",
            "tags": ["tasks"],
            "summary": "Summarize a task",
            "security": get_task["security"],
            "parameters": [{"$ref": "#/components/parameters/TaskId"}],
            "responses": {**get_task["responses"], "200": {"description": "The summary.", "content": content}},
        }
    }
    # Enum values.
    for name, value in (("TaskStatus", "paused"), ("UsagePeriod", "year"), ("Role", "developer")):
        schemas[name]["enum"].append(value)


@pytest.fixture(scope="module")
def evolved(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """A copy of the project with the changed contract and what `make generate` made of it."""
    copy = ProjectCopy(tmp_path_factory.mktemp("evolved"))
    changed_spec(copy.directory / "openapi" / "claude-code-api.yaml", extend)
    copy.generate()
    return copy


@pytest.fixture(scope="module")
def with_task_field(evolved: ProjectCopy, tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """The copy, with the task field in TaskOptions too."""
    copy = ProjectCopy(tmp_path_factory.mktemp("field"), evolved.directory)
    path = copy.directory / OPTIONS
    text = path.read_text(encoding="utf-8")
    for before, line in HAND_EDIT:
        assert text.count(before) == 1
        text = text.replace(before, line + before)
    path.write_text(text, encoding="utf-8")
    copy.generate()
    return copy


@pytest.fixture(scope="module")
def found(evolved: ProjectCopy) -> dict[str, Any]:
    """The results of the programs that need no edit by hand, from one process."""
    names = ("packages", "response_fields", "event_type", "endpoint", "enum_values")
    return programs.run(evolved.python_path, *names)


@pytest.fixture(scope="module")
def found_with_task_field(with_task_field: ProjectCopy) -> dict[str, Any]:
    """The results of the programs that use the task field, from one process."""
    names = ("task_field_checked", "task_field_served", "embedded_server")
    return programs.run(with_task_field.python_path, *names)


def assert_edits(capsys: pytest.CaptureFixture[str], addition: str, copy: ProjectCopy, expected: set[str]) -> None:
    """Count the files edited by hand, and print the count."""
    edited = copy.edited_by_hand()
    with capsys.disabled():
        print(f"\nNew {addition}: files edited by hand: {len(edited)} {sorted(edited) or ''}")
    assert edited == expected


def alike(found: dict[str, Any]) -> Any:
    """Return what both clients found."""
    assert found["sync"] == found["async"]
    return found["sync"]


def test_programs_use_the_packages_of_the_copy(evolved: ProjectCopy, found: dict[str, Any]) -> None:
    generated = str(evolved.directory / "generated")
    expected = [str(evolved.directory), generated, str(evolved.directory)]
    assert found["packages"] == expected


def test_new_response_fields(evolved: ProjectCopy, found: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    before = alike(programs.response_fields())
    after = alike(found["response_fields"])
    assert after == before
    assert after["extra"] == {"worker": programs.EXTRA}
    assert after["usage"] == {"cached_tokens": 4}
    assert (after["dict"]["worker"], after["dict"]["usage"]["cached_tokens"]) == (programs.EXTRA, 4)
    assert_edits(capsys, "response field", evolved, set())


def test_new_event_type(evolved: ProjectCopy, found: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    streamed = found["event_type"]
    assert streamed["typed"] == ["content", "timestamp", "todos", "type"]
    for kind in ("sync", "async"):
        event, result = streamed[kind]["events"]
        timestamp = event["timestamp"]
        content = {"content": "1 of 2 done", "phase": "work", "todos": programs.TODOS}
        assert event == {"type": "todo_update", "timestamp": timestamp, **content}
        assert result["type"] == "result"
        assert streamed[kind]["log"] == [{"action": "todo_update", "timestamp": timestamp, **content}]
    assert_edits(capsys, "event type", evolved, set())


def test_new_endpoint(evolved: ProjectCopy, found: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert alike(found["endpoint"]) == {"text": "3 files.", "words": 2, "path": "/v1/task/task_1/summary"}
    assert_edits(capsys, "endpoint", evolved, set())


def test_new_enum_values(evolved: ProjectCopy, found: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert alike(found["enum_values"]) == {
        "values": ["paused", "year"],
        "types": ["str", "str"],
        "sent": ["/v1/task?status=paused", "/v1/usage?period=year", "/v1/chat/completions"],
        "roles": ["developer"],
    }
    assert_edits(capsys, "enum value", evolved, set())


def test_embedded_server_with_the_changed_contract(found_with_task_field: dict[str, Any]) -> None:
    served = found_with_task_field["embedded_server"]
    assert served["status"] == "completed"
    assert served["summary"].startswith("Found 2 Python files")
    assert alike(served) == {
        "endpoint": ["NotSupportedError", 501],
        "paused": [],
        "period": ["NotSupportedError", 501],
        "role": "end_turn",
    }


def test_new_task_field(
    with_task_field: ProjectCopy, found_with_task_field: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    message = "priority must be from 1 to 5, not 9."
    assert alike(found_with_task_field["task_field_checked"]) == {
        "errors": [[name, "priority", message] for name in programs.TASK_METHODS],
        "requests": 0,
        "listed": list(programs.TASK_METHODS),
        # The documentation of the other methods refers to that of execute_task().
        "explained": ["execute_task"],
        "sent": [3, 4, 5],
    }
    reference = (with_task_field.directory / REFERENCE).read_text(encoding="utf-8")
    assert "From 1 to 5. Default: 3." in reference
    assert_edits(capsys, "task field", with_task_field, {OPTIONS})


def test_new_task_field_on_the_embedded_server(found_with_task_field: dict[str, Any]) -> None:
    served = found_with_task_field["task_field_served"]
    assert alike(served) == ["completed"] * 3
    assert served["raw"] == [400, "priority"]


def test_generating_again_changes_nothing_but_for_the_edit(evolved: ProjectCopy, with_task_field: ProjectCopy) -> None:
    before, after = evolved.contents(), with_task_field.contents()
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == {OPTIONS, REFERENCE}
    lines = after[REFERENCE].splitlines(keepends=True)
    assert b"".join(line for line in lines if b"priority" not in line) == before[REFERENCE]
