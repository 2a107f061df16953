"""Result models: immutable, comparable, copyable and picklable."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime
from typing import Any, get_args, get_type_hints

import attrs
import pytest
from claude_code_api import models as generated
from support.servers import responses

from claude_code_client import models
from claude_code_client._wire.responses import completion, task
from claude_code_client.models import (
    AgenticTaskResponse,
    Artifact,
    Capabilities,
    Capability,
    CompletionResponse,
    Health,
    ModelInfo,
    ModelUsage,
    Usage,
    UsageReport,
)

ARTIFACT = {
    "id": "artifact_1",
    "type": "file",
    "path": "docs/x.md",
    "size_bytes": 3,
    "sha256": "0" * 64,
    "created_at": "2026-11-22T12:00:00.000Z",
    "new_in_artifact": [1],
}
TASK = responses.task(
    artifacts=[ARTIFACT],
    result={"summary": "3 files.", "bugs": [{"line": 3}]},
    usage={"input_tokens": 9, "output_tokens": 1, "total_tokens": 10, "total_cost": 0.5, "new_in_usage": True},
    new_in_task={"deep": [1, {"er": 2}]},
)
COMPLETION = {**responses.COMPLETION, "new_in_completion": "x"}


def a_task() -> AgenticTaskResponse:
    return task(generated.AgenticTaskResponse.from_dict(copy.deepcopy(TASK)))


def a_completion() -> CompletionResponse:
    return completion(generated.CompletionResponse.from_dict(copy.deepcopy(COMPLETION)))


def one_of_each() -> list[Any]:
    return [
        a_task(),
        a_completion(),
        a_task().artifacts[0],
        Usage(input_tokens=1, output_tokens=2, total_tokens=3, cost=0.5),
        ModelInfo(
            id="m",
            input_price=1.0,
            output_price=2.0,
            context_window=9,
            max_output_tokens=8,
            default=True,
            extra={"a": 1},
        ),
        UsageReport(
            period="day",
            start="s",
            end="e",
            usage=Usage(cost=1.5),
            models=[ModelUsage(model="m", requests=1, usage=Usage(cost=1.5))],
        ),
        Capabilities(tools=[Capability(name="Bash", description="Runs", extra={"b": 2})]),
        Health(status="ok", version="1", engine="claude-code", spec_version="1.0.0"),
    ]


every_model = pytest.mark.parametrize("model", one_of_each(), ids=lambda model: type(model).__name__)


def test_task_has_the_documented_fields() -> None:
    result = a_task()
    assert (result.id, result.status, result.is_terminal) == ("task_1", "completed", True)
    assert type(result.status) is str
    assert type(result.result) is dict
    assert result.result["summary"] == "3 files."
    assert result.result.get("bugs") == [{"line": 3}]
    assert result.result.get("nothing") is None
    assert type(result.execution_log) is list
    assert result.execution_log[0]["action"] == "tool_call"
    assert (result.artifacts[0].type, result.artifacts[0].path) == ("file", "docs/x.md")
    assert (result.artifacts[0].size_bytes, result.artifacts[0].created_at) == (3, "2026-11-22T12:00:00.000Z")
    assert result.usage.total_tokens == 10
    assert (result.created_at, result.completed_at) == ("2026-11-22T11:59:59.000Z", "2026-11-22T12:00:01.000Z")


def test_completion_has_the_documented_fields() -> None:
    response = a_completion()
    assert (response.content, response.model, response.stop_reason) == (
        "Python is a language.",
        "claude-sonnet-5-5",
        "end_turn",
    )
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (12, 5, 17)


def test_usage_has_both_cost_names() -> None:
    report = one_of_each()[5]
    for usage in (a_task().usage, a_completion().usage, report.usage, report.models[0].usage, Usage(cost=0.5)):
        assert usage.cost == usage.total_cost > 0
        assert usage.to_dict()["cost"] == usage.to_dict()["total_cost"] == usage.cost


@every_model
def test_models_are_immutable(model: Any) -> None:
    for field in attrs.fields(type(model)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(model, field.name, None)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            delattr(model, field.name)
    with pytest.raises(AttributeError):
        model.new_attribute = 1


@every_model
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_models_can_be_compared_copied_and_pickled(model: Any, duplicate: Any) -> None:
    other = duplicate(model)
    assert other is not model
    assert type(other) is type(model)
    assert other == model
    assert repr(other) == repr(model)
    assert other.to_dict() == model.to_dict()
    assert attrs.evolve(model, extra={"changed": True}) != model
    assert model != model.to_dict()


@every_model
def test_models_are_unhashable(model: Any) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(model)


@every_model
def test_to_dict_returns_json_types(model: Any) -> None:
    found = model.to_dict()
    assert json.loads(json.dumps(found)) == found
    for field in attrs.fields(type(model)):
        assert (field.name in found) is (field.name != "extra" and not field.metadata)


def test_to_dict_returns_an_independent_dict() -> None:
    model, untouched = a_task(), a_task()
    found = model.to_dict()
    found["result"]["bugs"][0]["line"] = 4
    found["execution_log"].clear()
    found["artifacts"][0]["new_in_artifact"].append(2)
    found["new_in_task"]["deep"].append(3)
    assert model == untouched


def test_unknown_fields_are_kept_at_every_level() -> None:
    model = a_task()
    assert model.extra == {"new_in_task": {"deep": [1, {"er": 2}]}}
    assert model.artifacts[0].extra == {"new_in_artifact": [1]}
    assert model.usage.extra == {"new_in_usage": True}
    assert model.execution_log[0]["tool"] == "Bash"
    found = model.to_dict()
    for name, value in TASK.items():
        if name != "usage":
            assert found[name] == value, name
    assert found["usage"] == {**TASK["usage"], "cost": 0.5}
    assert a_completion().to_dict()["new_in_completion"] == "x"


def test_unknown_field_cannot_replace_a_known_one() -> None:
    assert Usage(cost=0.5, extra={"cost": 9, "total_cost": 9}).to_dict()["total_cost"] == 0.5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T12:00:00.250Z", datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-11-22T12:00:00+00:00", datetime(2026, 11, 22, 12, tzinfo=UTC)),
        ("2026-11-22T14:00:00+02:00", datetime(2026, 11, 22, 12, tzinfo=UTC)),
        ("2026-11-22T12:00:00.123456", datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("", None),
        ("yesterday", None),
    ],
)
def test_timestamps_are_datetimes(text: str, expected: datetime | None) -> None:
    model = AgenticTaskResponse(id="1", status="completed", created_at=text, completed_at=text)
    for moment in (
        model.created_datetime,
        model.completed_datetime,
        Artifact(path="x", created_at=text).created_datetime,
    ):
        assert moment == expected
        assert moment is None or moment.tzinfo is UTC or moment.utcoffset() == UTC.utcoffset(None)
    assert model.created_at == text


def test_running_task_has_no_completion_time() -> None:
    model = AgenticTaskResponse(id="1", status="running")
    assert (model.completed_at, model.completed_datetime, model.is_terminal) == (None, None, False)


def test_reprs_are_short_and_hide_prompt_and_reply() -> None:
    long = "PROMPT " * 1000
    talkative: dict[str, Any] = {
        "description": long,
        "result": {"summary": long},
        "execution_log": [{"a": long}],
        "extra": {"b": long},
    }
    assert repr(attrs.evolve(a_task(), **talkative)) == (
        "AgenticTaskResponse(id='task_1', status='completed', steps=1, artifacts=['docs/x.md'], "
        "usage=Usage(input_tokens=9, output_tokens=1, total_tokens=10, cost=0.5))"
    )
    assert repr(attrs.evolve(a_completion(), content=long, stop_sequence=long)) == (
        "CompletionResponse(id='cmpl_1', model='claude-sonnet-5-5', stop_reason='end_turn', "
        "usage=Usage(input_tokens=12, output_tokens=5, total_tokens=17, cost=0.25))"
    )


def test_repr_stays_short_with_many_artifacts() -> None:
    many = [Artifact(path=f"docs/page_{number}.md") for number in range(1000)]
    assert len(repr(attrs.evolve(a_task(), artifacts=many))) < 400


def test_events_are_plain_typed_dicts() -> None:
    kinds = get_args(models.TaskEvent)
    assert {get_args(get_type_hints(kind)["type"])[0] for kind in kinds} == {
        "thinking",
        "tool_call",
        "tool_result",
        "agent_spawn",
        "skill_invoke",
        "result",
        "<unknown>",
        "error",
    }
    for kind in kinds:
        assert {"type", "content", "timestamp"} <= kind.__required_keys__
        assert getattr(models, kind.__name__) is kind
    event = models.ThinkingEvent(type="thinking", timestamp="2026-11-22T12:00:00.000Z", content="…")
    assert type(event) is dict
