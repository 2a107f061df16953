"""The contract as the server reads it, and validation messages."""

import copy
import json
from importlib.resources import files
from typing import Any

import pytest

from claude_code_server.contract.operations import Contract
from claude_code_server.contract.strict_json import canonical, parse
from claude_code_server.contract.validation import SchemaValidator, Violation
from claude_code_server.http.prefer import Prefer
from claude_code_server.http.routes import HANDLERS


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((files("claude_code_api") / "openapi.json").read_bytes())
    return loaded


def test_every_operation_of_the_contract_has_a_handler_and_every_handler_an_operation() -> None:
    assert set(HANDLERS) == set(Contract.bundled().operations)


def test_only_health_needs_no_key() -> None:
    operations = Contract.bundled().operations.values()
    assert [operation.id for operation in operations if not operation.needs_key] == ["get_health"]


def test_paths_parameters_and_fields_are_found_under_their_python_names() -> None:
    changed = document()
    item = changed["paths"].pop("/task/{task_id}")
    changed["paths"]["/jobs/{job}"] = item
    parameter = changed["components"]["parameters"]["TaskId"]
    parameter["name"] = "job"
    parameter["schema"]["x-python-name"] = "task_id"
    fields = changed["components"]["schemas"]["CreateTaskRequest"]["properties"]
    fields["tools"] = {**fields.pop("allow_tools"), "x-python-name": "allow_tools"}
    changed["servers"] = [{"url": "https://example.org/api/v2/"}]

    contract = Contract(changed)

    assert contract.url("get_task", task_id="a b/c") == "/api/v2/jobs/a%20b%2Fc"
    assert contract.operations["create_task"].wire_name("allow_tools") == "tools"
    assert contract.operations["create_task"].wire_name("timeout") == "timeout"
    assert contract.operations["stream_task_events"].parameter_name("last_event_id") == "Last-Event-ID"


def test_a_recursive_schema_is_validated_at_every_level() -> None:
    changed = document()
    message = changed["components"]["schemas"]["Message"]
    message["properties"]["replies"] = {"type": "array", "items": {"$ref": "#/components/schemas/Message"}}
    body = Contract(changed).operations["create_completion"].body
    good = {"role": "user", "content": "a"}
    bad = copy.deepcopy(good) | {"replies": [good, good | {"replies": [{"role": "user", "content": 5}]}]}

    assert body is not None
    assert body.first_violation({"messages": [good | {"replies": [good]}]}) is None
    assert body.first_violation({"messages": [bad]}) == Violation(
        "messages[0].replies[1].replies[0].content", "must be a string"
    )


@pytest.mark.parametrize(
    ("operation", "body", "path", "text"),
    [
        ("create_task", {}, "description", "is required"),
        ("create_task", [], "", "must be an object"),
        ("create_task", None, "", "must be an object"),
        ("create_task", {"description": ""}, "description", "must not be empty"),
        ("create_task", {"description": " \n\t"}, "description", "must not be blank"),
        ("create_task", {"description": 5}, "description", "must be a string"),
        ("create_task", {"description": "a", "timeout": 0}, "timeout", "must be more than 0"),
        ("create_task", {"description": "a", "timeout": "9"}, "timeout", "must be a number or null"),
        ("create_task", {"description": "a", "timeout": True}, "timeout", "must be a number or null"),
        ("create_task", {"description": "a", "allow_tools": "Bash"}, "allow_tools", "must be an array or null"),
        ("create_task", {"description": "a", "allow_tools": ["a", 1]}, "allow_tools[1]", "must be a string"),
        ("create_task", {"description": "a", "context": [1]}, "context", "must be an object or null"),
        ("create_completion", {"messages": []}, "messages", "must not be empty"),
        (
            "create_completion",
            {"messages": [{"role": "boss", "content": "a"}]},
            "messages[0].role",
            "must be one of system, user, assistant",
        ),
        ("create_completion", {"messages": [{"role": "user"}]}, "messages[0].content", "is required"),
        (
            "create_completion",
            {"messages": [{"role": "user", "content": "a"}], "temperature": 2.1},
            "temperature",
            "must be at most 2",
        ),
        (
            "create_completion",
            {"messages": [{"role": "user", "content": "a"}], "max_tokens": 0.5},
            "max_tokens",
            "must be an integer or null",
        ),
    ],
)
def test_a_violation_names_the_field_and_the_rule(operation: str, body: Any, path: str, text: str) -> None:
    validator = Contract.bundled().operations[operation].body
    assert validator is not None
    assert validator.first_violation(body) == Violation(path, text)


@pytest.mark.parametrize(
    "body",
    [
        {"description": "a"},
        {"description": "a", "project_id": "p", "working_directory": "/project", "unknown": {"deep": [1]}},
        dict.fromkeys(("allow_tools", "allow_agents", "allow_skills", "timeout", "max_cost", "context", "model"))
        | {"description": "a", "working_directory": None},
    ],
)
def test_unknown_fields_and_nulls_are_accepted(body: Any) -> None:
    validator = Contract.bundled().operations["create_task"].body
    assert validator is not None
    assert validator.first_violation(body) is None


def test_a_keyword_without_a_message_is_named_without_the_value() -> None:
    violation = SchemaValidator({"type": "array", "uniqueItems": True}, {}).first_violation(["secret", "secret"])
    assert violation == Violation("", "does not match the contract (uniqueItems)")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "the body is not JSON: Expecting value at line 1, column 1."),
        (b'{"a": ', "the body is not JSON: Expecting value at line 1, column 7."),
        (b'{"a": NaN}', "the body is not JSON: NaN is not a JSON number."),
        (b'{"a": -Infinity}', "the body is not JSON: -Infinity is not a JSON number."),
        (b'{"a": 1e999}', "the body contains a number that is too large."),
        (b"9" * 5000, "the body contains a number that is too large."),
        (b'"\xff"', "the body is not UTF-8."),
        (b"[" * 200_000, "the body is nested too deeply."),
    ],
)
def test_json_is_parsed_strictly(text: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=r"^the body ") as caught:
        parse(text)
    assert str(caught.value) == why


def test_canonical_json_does_not_depend_on_order_or_escapes() -> None:
    one, other = parse('{"b": 1, "a": "é"}'.encode()), parse(b'\xef\xbb\xbf{"a":"\\u00e9" ,"b":1}')
    assert canonical(one) == canonical(other)


def test_lone_surrogates_are_rejected() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        canonical(parse(b'{"a": "\\ud800"}'))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Prefer()),
        ("", Prefer()),
        ("respond-async", Prefer(True, None)),
        ("respond-async, wait=10", Prefer(True, 10)),
        ("Respond-Async,WAIT=10", Prefer(True, 10)),
        ('wait="10"', Prefer(False, 10)),
        ("wait = 10", Prefer(False, 10)),
        ("wait=10, wait=20", Prefer(False, 10)),
        ("wait=0", Prefer(False, 0)),
        ("wait=999999999999", Prefer(False, 60)),
        ("wait=-1", Prefer()),
        ("wait=1.5", Prefer()),
        ("wait=soon, respond-async", Prefer(True, None)),
        ("wait", Prefer()),
        ('handling=lenient; a="x, wait=3"; b, respond-async', Prefer(True, None)),
        ('note="a, respond-async", wait=7;x=y', Prefer(False, 7)),
        ("@@@, respond-async", Prefer(True, None)),
        ('broken="a, respond-async', Prefer(True, None)),
    ],
)
def test_prefer_is_parsed_according_to_rfc_7240(header: str | None, expected: Prefer) -> None:
    assert Prefer.parse(header, 60.0) == expected


def test_preference_applied_lists_the_applied_preferences() -> None:
    assert Prefer(True, 5).applied(asynchronous=True) == "respond-async, wait=5"
    assert Prefer(True, 5).applied() == "wait=5"
    assert Prefer().applied(asynchronous=True) == ""
