"""Request bodies, checked against the types and constraints of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from claude_code_api.constraints import CONSTRAINTS
from claude_code_api.models import CreateCompletionRequest, CreateTaskRequest, CreateTaskRequestTaskContext, Role

from claude_code_client import InvalidRequestError
from claude_code_client._wire.requests import request_body

TASK = {"description": "Count"}


@attrs.define
class Sample:
    """A request body of a later contract: with types and keywords that today's bodies do not have."""

    name: str
    text: Any = None
    count: Any = None
    ratio: Any = None
    flag: Any = None
    numbers: Any = None
    parts: Any = None
    level: Any = None
    context: Any = None
    free: Any = None
    anything: Any = None


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> None:
    optional = {"required": False}
    rules: Mapping[str, Mapping[str, Any]] = {
        "name": {"required": True, "type": "string", "minLength": 2},
        "text": {**optional, "type": "string", "maxLength": 3, "pattern": "^[a-z]*$"},
        "count": {**optional, "type": "integer", "minimum": 1},
        "ratio": {**optional, "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "flag": {**optional, "type": "boolean"},
        "numbers": {**optional, "type": "array", "minItems": 2, "maxItems": 3, "items": {"type": "number"}},
        "parts": {**optional, "type": "array", "items": {"type": "object", "class": "Message"}},
        "level": {**optional, "type": "integer", "enum": [1, 2]},
        "context": {**optional, "type": "object", "class": "CreateTaskRequestTaskContext"},
        "free": {**optional, "type": "object"},
        "anything": optional,
    }
    monkeypatch.setitem(CONSTRAINTS, "Sample", rules)


def test_every_optional_field_of_the_contract_can_be_sent() -> None:
    """Whatever fields the contract has: nothing here or in the client lists them."""
    for cls in (CreateTaskRequest, CreateCompletionRequest):
        assert CONSTRAINTS[cls.__name__].keys() == {field.name for field in attrs.fields(cls) if field.init}


def test_fields_that_are_left_out_are_not_sent() -> None:
    assert request_body(CreateTaskRequest, {**TASK, "model": None}).to_dict() == TASK


def test_values_are_copied_into_generated_types() -> None:
    context, tools = {"a": [1]}, ["Bash"]
    body = request_body(CreateTaskRequest, {**TASK, "context": context, "allow_tools": tools, "max_cost": 2})
    context["a"].append(2)
    tools.append("Read")
    assert isinstance(body.context, CreateTaskRequestTaskContext)
    assert body.to_dict() == {**TASK, "context": {"a": [1]}, "allow_tools": ["Bash"], "max_cost": 2}
    messages = [{"role": "user", "content": "Hello"}]
    assert request_body(CreateCompletionRequest, {"messages": messages}).messages[0].role is Role.USER


def test_fields_that_the_contract_does_not_have_are_a_bug() -> None:
    with pytest.raises(TypeError, match="CreateTaskRequest has no field prioritty"):
        request_body(CreateTaskRequest, {**TASK, "prioritty": 1})


@pytest.mark.usefixtures("sample")
def test_fields_of_every_type() -> None:
    message = {"role": "user", "content": ""}
    fields: dict[str, Any] = {
        "name": "ab",
        "text": "abc",
        "count": 1,
        "ratio": 0.5,
        "flag": False,
        "numbers": (1, 2.5),
        "parts": [message],
        "level": 2,
        "context": {"a": 1},
        "free": {"b": None},
        "anything": [1, "x", {}],
    }
    body = request_body(Sample, fields)
    assert body.parts[0].to_dict() == message
    assert body.context.to_dict() == {"a": 1}
    assert body.numbers == [1, 2.5]
    same = ("name", "text", "count", "ratio", "flag", "level", "free", "anything")
    assert {name: getattr(body, name) for name in same} == {name: fields[name] for name in same}


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize(
    ("fields", "message", "param"),
    [
        ({"name": None}, "name must be a str, not None.", "name"),
        ({"name": "a"}, "name must have at least 2 characters.", "name"),
        ({"text": "abcd"}, "text must have at most 3 characters, not 4.", "text"),
        ({"text": "ABC"}, "text must match the pattern ^[a-z]*$.", "text"),
        ({"text": "\ud800"}, "text must match the pattern ^[a-z]*$.", "text"),
        ({"count": 0}, "count must be 1 or more, not 0.", "count"),
        ({"count": 2**53 + 1}, f"count must be at most {2**53}.", "count"),
        ({"count": True}, "count must be an int, not bool.", "count"),
        ({"ratio": 1}, "ratio must be more than 0 and less than 1, not 1.", "ratio"),
        ({"ratio": float("nan")}, "ratio must be a finite number, not nan.", "ratio"),
        ({"flag": 1}, "flag must be a bool, not int.", "flag"),
        ({"numbers": [1]}, "numbers must have at least 2 items.", "numbers"),
        ({"numbers": [1, 2, 3, 4]}, "numbers must have at most 3 items, not 4.", "numbers"),
        ({"numbers": [1, "2"]}, "numbers[1] must be a number, not str.", "numbers"),
        ({"numbers": {1, 2}}, "numbers must be a list, not set.", "numbers"),
        ({"parts": "x"}, "parts must be a list of dicts, not str.", "parts"),
        ({"parts": ["x"]}, "parts[0] must be a dict with role and content, not str.", "parts"),
        (
            {"parts": [{"role": "x"}]},
            "parts[0].role must be one of system, user, assistant.",
            "parts[0].role",
        ),
        ({"level": 3}, "level must be one of 1, 2.", "level"),
        ({"context": [1]}, "context must be a dict, not list.", "context"),
        ({"free": {"a": "\ud800"}}, "free must hold JSON types only: a str is not valid Unicode.", "free"),
        ({"anything": {1, 2}}, "anything must hold JSON types only: Object of type set", "anything"),
    ],
)
def test_values_that_the_contract_rules_out(fields: dict[str, Any], message: str, param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        request_body(Sample, {"name": "ab", **fields})
    assert caught.value.message.startswith(message)
    assert caught.value.param == param
