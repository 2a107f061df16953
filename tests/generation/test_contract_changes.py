"""Changes of the contract that reach the generated package without any change of the generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from generation.generator import COMMITTED, changed_spec, generate_here, generate_package, run_with_package

pytestmark = [pytest.mark.xdist_group("generation"), pytest.mark.slow]


def rename(document: dict[str, Any]) -> None:
    """Rename fields and parameters on the wire, and keep their Python names."""
    schemas, paths = document["components"]["schemas"], document["paths"]
    # A plain property.
    request = schemas["CreateTaskRequest"]["properties"]
    request["spending-limit"] = {**request.pop("max_cost"), "x-python-name": "max_cost"}
    # A property with a $ref.
    task = schemas["AgenticTaskResponse"]
    task["properties"]["state"] = {**task["properties"].pop("status"), "x-python-name": "status"}
    task["required"][task["required"].index("status")] = "state"
    # A query parameter.
    [limit] = [parameter for parameter in paths["/task"]["get"]["parameters"] if parameter["name"] == "limit"]
    limit["name"] = "page-size"
    limit["schema"]["x-python-name"] = "limit"
    # A path parameter.
    paths["/task/{task}/cancel"] = paths.pop("/task/{task_id}/cancel")
    paths["/task/{task}/cancel"]["post"]["parameters"] = [
        {"name": "task", "in": "path", "required": True, "schema": {"type": "string", "x-python-name": "task_id"}}
    ]


USE_RENAMED = """
from claude_code_api.api.tasks import cancel_task, list_tasks
from claude_code_api.constraints import CONSTRAINTS
from claude_code_api.defaults import DEFAULTS, PARAMETER_DEFAULTS
from claude_code_api.models import AgenticTaskResponse, CreateTaskRequest, TaskStatus

request = CreateTaskRequest(description="d", max_cost=2.0)
assert request.to_dict() == {"description": "d", "spending-limit": 2.0}
assert CreateTaskRequest.from_dict(request.to_dict()) == request
assert CONSTRAINTS["CreateTaskRequest"]["max_cost"] == {"required": False, "type": "number", "exclusiveMinimum": 0}
assert DEFAULTS["CreateTaskRequest"]["max_cost"] == 1.0
assert PARAMETER_DEFAULTS["list_tasks"] == {"limit": 20}

usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "total_cost": 0.0}
sent = {"id": "t", "state": "running", "result": {}, "execution_log": [], "artifacts": [], "usage": usage,
        "created_at": "2026-11-22T12:00:00Z"}
task = AgenticTaskResponse.from_dict(sent)
assert task.status is TaskStatus.RUNNING
assert task.to_dict() == sent

assert list_tasks._get_kwargs(limit=3)["params"] == {"page-size": 3}
assert cancel_task._get_kwargs(task_id="a b")["url"] == "/task/a%20b/cancel"
"""


def test_x_python_name_keeps_the_python_name_of_a_renamed_field(tmp_path: Path) -> None:
    generate_package(tmp_path, rename)
    run_with_package(tmp_path, USE_RENAMED)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("type", "type is no valid name in the generated code; type_ is"),
        ("description", "description is also the name of another field or parameter there"),
    ],
)
def test_invalid_x_python_name_is_rejected(tmp_path: Path, name: str, message: str) -> None:
    def rename_max_cost(document: dict[str, Any]) -> None:
        request = document["components"]["schemas"]["CreateTaskRequest"]["properties"]
        request["spending-limit"] = {**request.pop("max_cost"), "x-python-name": name}

    spec = changed_spec(tmp_path / "spec.yaml", rename_max_cost)
    failed = generate_here("--spec", spec, "--output", tmp_path / "claude_code_api")
    assert failed.returncode == 2
    assert message in failed.stderr


def extend(document: dict[str, Any]) -> None:
    """Add defaults, an event type and optional request fields."""
    schemas, parameters = document["components"]["schemas"], document["components"]["parameters"]
    request = schemas["CreateTaskRequest"]["properties"]
    request["model"]["x-default"] = "opus"
    request["max_cost"]["x-default"] = 2
    parameters["Prefer"]["schema"]["x-default"] = "wait=5"
    request |= {
        "priority": {"type": ["integer", "null"], "minimum": 0, "maximum": 9, "x-default": 5},
        "dry_run": {"type": "boolean"},
        "effort": {"type": "string", "enum": ["low", "high"]},
        "labels": {"type": "array", "maxItems": 3, "items": {"type": "string", "pattern": "^[a-z]+$"}},
        "notify": {"oneOf": [{"$ref": "#/components/schemas/Notify"}, {"type": "null"}]},
        "budgets": {"type": "array", "items": {"$ref": "#/components/schemas/Notify"}},
        "seed": {"type": ["integer", "string"]},
        "anything": {},
    }
    schemas["Notify"] = {
        "type": "object",
        "required": ["url"],
        "properties": {
            "url": {"type": "string", "maxLength": 2000, "description": "URL to call."},
            "after": {"type": "number", "exclusiveMaximum": 60, "x-default": 1},
        },
    }
    schemas["PauseEvent"] = {
        "type": "object",
        "required": ["type", "timestamp", "content"],
        "properties": {
            "type": {"const": "pause"},
            "timestamp": {"type": "string"},
            "content": {"type": "string"},
            "until": {"type": "string"},
        },
    }
    schemas["TaskEvent"]["oneOf"].append({"$ref": "#/components/schemas/PauseEvent"})


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the package generated from the extended contract."""
    directory = tmp_path_factory.mktemp("extended")
    generate_package(directory, extend)
    return directory


USE_DEFAULTS = """
from claude_code_api import defaults
from claude_code_api.defaults import DEFAULTS, PARAMETER_DEFAULTS

assert DEFAULTS == {
    "CreateTaskRequest": {"allow_agents": (), "allow_skills": (), "timeout": 300.0, "max_cost": 2.0, "model": "opus",
                          "priority": 5},
    "Notify": {"after": 1.0},
}
assert PARAMETER_DEFAULTS == {
    "create_task": {"prefer": "wait=5"},
    "get_task": {"prefer": "wait=5"},
    "list_tasks": {"limit": 20},
    "get_usage": {"period": "month"},
}
assert defaults.CREATE_TASK_REQUEST_MODEL == "opus"
assert type(defaults.CREATE_TASK_REQUEST_MAX_COST) is float
assert type(defaults.CREATE_TASK_REQUEST_PRIORITY) is int
assert defaults.GET_TASK_PREFER == "wait=5"
"""


def test_new_default_is_generated(extended: Path) -> None:
    run_with_package(extended, USE_DEFAULTS)


def test_defaults_are_not_sent(extended: Path) -> None:
    run_with_package(
        extended,
        "from claude_code_api.models import CreateTaskRequest\n"
        "assert CreateTaskRequest(description='d').to_dict() == {'description': 'd'}\n",
    )


USE_EVENTS = """
from claude_code_api.event_models import COMPLETION_EVENT_MODELS, TASK_EVENT_MODELS
from claude_code_api.events import PauseEvent
from claude_code_api.models import PauseEvent as Model

assert TASK_EVENT_MODELS["pause"] is Model
assert list(TASK_EVENT_MODELS)[-1] == "pause" and "pause" not in COMPLETION_EVENT_MODELS
assert PauseEvent.__required_keys__ == {"type", "timestamp", "content"}
sent = {"type": "pause", "timestamp": "2026-11-22T12:00:00Z", "content": "Paused.", "until": "tomorrow"}
assert TASK_EVENT_MODELS["pause"].from_dict(sent).to_dict() == sent
"""


def test_new_event_type_is_generated(extended: Path) -> None:
    run_with_package(extended, USE_EVENTS)


USE_CONSTRAINTS = """
from claude_code_api import models
from claude_code_api.constraints import CONSTRAINTS

fields = CONSTRAINTS["CreateTaskRequest"]
assert fields["priority"] == {"required": False, "type": "integer", "minimum": 0, "maximum": 9}
assert fields["dry_run"] == {"required": False, "type": "boolean"}
assert fields["effort"] == {"required": False, "type": "string", "enum": ["low", "high"],
                            "class": "CreateTaskRequestEffort"}
assert fields["labels"] == {"required": False, "type": "array", "maxItems": 3,
                            "items": {"type": "string", "pattern": "^[a-z]+$"}}
assert fields["notify"] == {"required": False, "type": "object", "class": "Notify"}
assert fields["budgets"] == {"required": False, "type": "array", "items": {"type": "object", "class": "Notify"}}
assert fields["seed"] == {"required": False, "type": ["integer", "string"]}
assert fields["anything"] == {"required": False}
assert CONSTRAINTS["Notify"] == {
    "url": {"required": True, "type": "string", "maxLength": 2000},
    "after": {"required": False, "type": "number", "exclusiveMaximum": 60},
}
for name in ("Notify", "CreateTaskRequestEffort"):
    assert getattr(models, name).__name__ == name
"""


def test_new_optional_field_is_generated(extended: Path) -> None:
    run_with_package(extended, USE_CONSTRAINTS)


def extend_responses(document: dict[str, Any]) -> None:
    """Add fields to response bodies at every level, one of them an enum, and make a string an enum."""
    schemas = document["components"]["schemas"]
    new: dict[str, Any] = {
        "score": {"type": "integer"},
        "tier": {"type": "string", "enum": ["fast", "slow"]},
        "class": {"$ref": "#/components/schemas/Details"},
    }
    schemas["Details"] = {"type": "object", "required": ["deep"], "properties": {"deep": {"type": "integer"}}}
    for name in RESPONSES:
        schemas[name]["properties"] |= new
    schemas["Artifact"]["properties"]["type"] = {"type": "string", "enum": ["file", "folder"]}
    stop_reason = {"type": ["string", "null"], "enum": ["end_turn", None]}
    schemas["CompletionResponse"]["properties"]["stop_reason"] = stop_reason


RESPONSES = (
    "AgenticTaskResponse",
    "Artifact",
    "TaskUsage",
    "CompletionResponse",
    "CompletionUsage",
    "Model",
    "UsageReport",
    "ModelUsage",
    "Capabilities",
    "Capability",
    "Health",
)

USE_RESPONSES = """
import pickle
from claude_code_api import models as generated
from claude_code_client._wire import responses

assert {"score", "tier", "class_"} <= {name for name in generated.Artifact.__slots__} or not EXTENDED
NEW = {"score": 3, "tier": "unheard of", "class": {"deep": 1, "deeper": [2]}, "unknown": None}
COUNTS = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
USAGE = {**COUNTS, "cost": 0.5, **NEW}
ARTIFACT = {"id": "a", "type": "scroll", "path": "x", "size_bytes": 1, "sha256": "0", "created_at": "", **NEW}
TASK = {"id": "t", "status": "odd", "result": {"summary": "s"}, "execution_log": [], "artifacts": [ARTIFACT],
        "usage": {**COUNTS, "total_cost": 0.5, **NEW}, "created_at": "", **NEW}
COMPLETION = {"id": "c", "content": "x", "model": "m", "stop_reason": "bored", "usage": USAGE, **NEW}
MODEL = {"id": "m", "alias": None, "input_price": 1, "output_price": 2, "context_window": 3, "max_output_tokens": 4,
         "default": True, **NEW}
REPORT = {"period": "year", "start": "", "end": "", "limit": None, "remaining": None, **USAGE,
          "models": [{"model": "m", "requests": 1, **USAGE}]}
TOOLS = [{"name": "Bash", "description": "Runs.", **NEW}]
CAPABILITIES = {"tools": TOOLS, "agents": [], "skills": [], **NEW}
HEALTH = {"status": "ok", "version": "1", "engine": "e", "spec_version": "1", **NEW}

task = responses.task(generated.AgenticTaskResponse.from_dict(TASK))
completion = responses.completion(generated.CompletionResponse.from_dict(COMPLETION))
[model] = responses.models(generated.ModelList.from_dict({"data": [MODEL]}))
report = responses.usage_report(generated.UsageReport.from_dict(REPORT))
capabilities = responses.capabilities(generated.Capabilities.from_dict(CAPABILITIES))
health = responses.health(generated.Health.from_dict(HEALTH))

for found in (task, task.artifacts[0], task.usage, completion, completion.usage, model, report, report.models[0],
              capabilities, capabilities.tools[0], health):
    assert found.extra == NEW, found
    assert found.to_dict().items() >= NEW.items()
    assert type(found.extra["tier"]) is str
    assert pickle.loads(pickle.dumps(found)) == found
    assert b"claude_code_api" not in pickle.dumps(found)
for value in (task.status, task.artifacts[0].type, completion.stop_reason, report.period):
    assert type(value) is str
assert (task.status, task.artifacts[0].type, completion.stop_reason) == ("odd", "scroll", "bored")
assert report.period == "year"
assert task.to_dict().items() >= {k: v for k, v in TASK.items() if k not in ("usage", "artifacts")}.items()
assert health.to_dict().items() >= HEALTH.items() and model.to_dict().items() >= MODEL.items()
"""


def test_new_response_field_is_in_extra_before_and_after_regeneration(tmp_path: Path) -> None:
    run_with_package(COMMITTED.parent, f"EXTENDED = False\n{USE_RESPONSES}")
    generate_package(tmp_path, extend_responses)
    run_with_package(tmp_path, f"EXTENDED = True\n{USE_RESPONSES}")
