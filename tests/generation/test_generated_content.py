"""Generated modules beside the models and endpoints, and the endpoint functions that the client calls."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from importlib import import_module
from importlib.resources import files
from types import ModuleType
from typing import Any, assert_type

from claude_code_api import defaults, events
from claude_code_api.constraints import CONSTRAINTS
from claude_code_api.defaults import DEFAULTS, PARAMETER_DEFAULTS
from claude_code_api.event_models import COMPLETION_EVENT_MODELS, TASK_EVENT_MODELS, TaskEventModel
from claude_code_api.events import CompletionEvent, ErrorDetailDict, TaskEvent, ToolCallEvent, UnknownCompletionEvent
from claude_code_api.models import ThinkingEvent
from claude_code_api.server import SERVER_URL
from generation.generator import SPEC
from ruamel.yaml import YAML

OPERATIONS = {
    "create_completion",
    "stream_completion",
    "create_task",
    "list_tasks",
    "get_task",
    "stream_task_events",
    "cancel_task",
    "download_artifact",
    "list_models",
    "get_usage",
    "get_capabilities",
    "get_health",
}


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((files("claude_code_api") / "openapi.json").read_bytes())
    return loaded


def operations() -> Iterator[tuple[str, ModuleType]]:
    for item in document()["paths"].values():
        for operation in item.values():
            name = operation["operationId"]
            yield name, import_module(f"claude_code_api.api.{operation['tags'][0]}.{name}")


def test_openapi_json_is_the_yaml() -> None:
    assert document() == YAML(typ="safe").load(SPEC)


def test_every_operation_is_generated() -> None:
    assert {name for name, _ in operations()} == OPERATIONS


def test_every_operation_has_the_functions_that_the_facade_calls() -> None:
    for name, module in operations():
        arguments = {
            parameter.name: "x"
            for parameter in inspect.signature(module._get_kwargs).parameters.values()
            if parameter.default is parameter.empty and parameter.name != "body"
        }
        if "body" not in inspect.signature(module._get_kwargs).parameters:
            kwargs = module._get_kwargs(**arguments)
            assert {"method", "url"} <= set(kwargs) <= {"method", "url", "params", "headers"}, name
        parse = inspect.signature(module._parse_response).parameters
        assert [(parameter.name, parameter.kind) for parameter in parse.values()] == [
            ("client", inspect.Parameter.KEYWORD_ONLY),
            ("response", inspect.Parameter.KEYWORD_ONLY),
        ], name


def test_constraints_match_the_request_bodies() -> None:
    assert set(CONSTRAINTS) == {"CreateCompletionRequest", "CreateTaskRequest", "Message"}
    assert CONSTRAINTS["CreateCompletionRequest"] == {
        "messages": {"required": True, "type": "array", "minItems": 1, "items": {"type": "object", "class": "Message"}},
        "model": {"required": False, "type": "string", "minLength": 1},
        "max_tokens": {"required": False, "type": "integer", "minimum": 1},
        "temperature": {"required": False, "type": "number", "minimum": 0, "maximum": 2},
        "top_p": {"required": False, "type": "number", "minimum": 0, "maximum": 1},
        "stop": {"required": False, "type": "array", "items": {"type": "string", "minLength": 1}},
    }
    assert CONSTRAINTS["CreateTaskRequest"]["description"] == {
        "required": True,
        "type": "string",
        "minLength": 1,
        "pattern": r"\S",
    }
    assert CONSTRAINTS["CreateTaskRequest"]["context"] == {
        "required": False,
        "type": "object",
        "class": "CreateTaskRequestTaskContext",
    }
    assert CONSTRAINTS["Message"]["role"] == {
        "required": True,
        "type": "string",
        "enum": ["system", "user", "assistant"],
        "class": "Role",
    }


def test_server_url_is_the_first_of_the_contract() -> None:
    assert document()["servers"][0]["url"] == SERVER_URL


def test_defaults_match_the_contract() -> None:
    assert DEFAULTS == {
        "CreateTaskRequest": {"allow_agents": (), "allow_skills": (), "timeout": 300.0, "max_cost": 1.0}
    }
    assert PARAMETER_DEFAULTS == {"list_tasks": {"limit": 20}, "get_usage": {"period": "month"}}
    assert defaults.CREATE_TASK_REQUEST_TIMEOUT == 300
    assert type(defaults.CREATE_TASK_REQUEST_TIMEOUT) is float
    assert defaults.GET_USAGE_PERIOD == "month"


def test_event_models_cover_the_unions_of_the_contract() -> None:
    schemas = document()["components"]["schemas"]
    for union, models in (("TaskEvent", TASK_EVENT_MODELS), ("CompletionEvent", COMPLETION_EVENT_MODELS)):
        assert {
            event_type: f"#/components/schemas/{model.__name__}" for event_type, model in models.items()
        } == schemas[union]["discriminator"]["mapping"]
    event = TASK_EVENT_MODELS["thinking"].from_dict(
        {"type": "thinking", "timestamp": "2026-11-22T12:00:00Z", "content": "Hm."}
    )
    assert_type(event, TaskEventModel)
    assert isinstance(event, ThinkingEvent)


def test_event_typed_dicts_have_the_fields_of_the_contract() -> None:
    for name, schema in document()["components"]["schemas"].items():
        if name.endswith("Event") and name not in ("TaskEvent", "CompletionEvent"):
            event = getattr(events, name)
            assert event.__required_keys__ == set(schema["required"]), name
            assert event.__required_keys__ | event.__optional_keys__ == set(schema["properties"]), name


def test_event_type_narrows_the_union() -> None:
    def line(event: TaskEvent) -> str:
        """Return one line; assert_type is for mypy and does nothing at run time."""
        if event["type"] == "tool_call":
            assert_type(event, ToolCallEvent)
            assert_type(event["arguments"], dict[str, Any])
            return event["tool"]
        if event["type"] == "error":
            assert_type(event["error"], ErrorDetailDict)
            return event["error"]["message"]
        return event["content"]

    def text(event: CompletionEvent) -> str:
        if event["type"] == "text_delta":
            return event["text"]
        if event["type"] == "completion":
            return event["completion"]["model"]
        if event["type"] == "error":
            return event["error"]["message"]
        assert_type(event, UnknownCompletionEvent)
        return event["type"]

    call: ToolCallEvent = {
        "type": "tool_call",
        "timestamp": "2026-11-22T12:00:00Z",
        "content": "Bash: ls",
        "tool": "Bash",
        "arguments": {"command": "ls"},
        "call_id": "toolu_1",
    }
    assert line(call) == "Bash"
    assert text({"type": "text_delta", "text": "Hi"}) == "Hi"
