"""Quick acceptance of request bodies: never of one that jsonschema rejects, and of every ordinary one."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from claude_code_server.contract.acceptance import acceptor
from claude_code_server.contract.operations import Contract

NAMES = ("messages", "role", "content", "model", "max_tokens", "stop", "temperature", "description", "timeout", "other")
SCALARS = st.sampled_from(
    [None, True, False, 0, 1, 2, -1, 1.0, 0.5, 2.5, 10**17, "", " ", "a", "user", "assistant", "A", "x" * 300]
)
BODIES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(NAMES), below, max_size=4),
    max_leaves=8,
)
KEYWORDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(
        ["string", "integer", "number", "boolean", "null", ["string", "null"], ["integer", "null"]]
    ),
    "enum": st.lists(st.sampled_from(["a", "user", 1, True, None]), min_size=1, max_size=3, unique_by=repr),
    "minLength": st.integers(0, 2),
    "maxLength": st.integers(0, 2),
    "pattern": st.sampled_from([r"\S", "^a$", "[0-9]"]),
    "minimum": st.integers(-1, 1),
    "maximum": st.integers(0, 2),
    "exclusiveMinimum": st.integers(-1, 1),
    "exclusiveMaximum": st.integers(0, 3),
    "multipleOf": st.just(2),
    "const": st.just("a"),
    "not": st.just({"type": "string"}),
    "x-default": st.just(1),
}
LEAVES = st.fixed_dictionaries({}, optional=KEYWORDS)
SCHEMAS = st.recursive(
    LEAVES,
    lambda below: st.fixed_dictionaries(
        {"type": st.sampled_from(["array", "object", ["object", "null"]])},
        optional={
            "items": below,
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
            "properties": st.dictionaries(st.sampled_from(NAMES), below, max_size=3),
            "required": st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
            "additionalProperties": st.booleans() | below,
            "enum": st.just([{}, []]),
        },
    ),
    max_leaves=5,
)


@pytest.mark.slow
@settings(max_examples=150)
@given(SCHEMAS, BODIES)
def test_nothing_is_accepted_that_jsonschema_rejects(schema: dict[str, Any], body: Any) -> None:
    if acceptor(schema)(body):
        assert Draft202012Validator(schema).is_valid(body)


@pytest.mark.slow
@settings(max_examples=100)
@given(st.sampled_from(("create_completion", "create_task")), BODIES)
def test_no_body_is_accepted_that_breaks_the_contract(operation: str, body: Any) -> None:
    schema = Contract.bundled().operations[operation].body_schema
    if acceptor(schema)(body):
        assert Draft202012Validator(schema).is_valid(body)


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("create_completion", {"messages": [{"role": "user", "content": "Hello"}]}),
        (
            "create_completion",
            {
                "messages": [{"role": "system", "content": ""}, {"role": "user", "content": "a"}],
                "model": "haiku",
                "max_tokens": 5,
                "temperature": 0.5,
                "top_p": 1,
                "stop": ["a"],
                "unknown": {"deep": [1]},
            },
        ),
        ("create_task", {"description": "a", "allow_tools": ["Bash"], "timeout": 60, "max_cost": 1.5, "model": None}),
    ],
)
def test_ordinary_bodies_do_not_wait_for_jsonschema(operation: str, body: Any) -> None:
    assert acceptor(Contract.bundled().operations[operation].body_schema)(body)
