"""Schemas that tasks bring for their results: which are refused, before anything runs, and which results conform."""

from pathlib import Path
from typing import Any

import pytest
from support.servers.embedded_server import serving
from support.servers.scripted_engine import DONE, ScriptedEngine

from claude_code_server.contract.result_schema import MAX_CHARACTERS, result_problem, schema_problem
from claude_code_server.contract.validation import Violation
from claude_code_server.upstream.offline.structured_output import UnfillableError, fill


def a_schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


REFUSED: list[tuple[Any, str, str]] = [
    ({"type": "array"}, ".type", 'must be "object"'),
    ({}, ".type", 'must be "object"'),
    (a_schema(n={"type": "number!"}), ".properties.n.type", "is not valid in a JSON Schema"),
    (a_schema(n={"minimum": "x"}), ".properties.n.minimum", "must be a number"),
    (a_schema(n={"x-note": 1}), ".properties.n", "has the keyword 'x-note'"),
    (a_schema(n={"items": [{"not": {"nullable": True}}]}, m={}) | {"$schema": "http://json-schema.org/draft-07/schema#"},
     ".properties.n.items[0].not", "has the keyword 'nullable'"),
    (a_schema(n={"pattern": "("}), ".properties.n", "has a pattern"),
    (a_schema(n={"$ref": "#/$defs/none"}), ".properties.n.$ref", "must point to a part"),
    (a_schema(n={"$ref": "http://127.0.0.1:9/x.json"}), ".properties.n.$ref", "must point to a part"),
    (a_schema(n={"$ref": "file:///etc/passwd"}), ".properties.n.$ref", "must point to a part"),
    (a_schema(summary={"type": "integer"}), ".properties.summary.type", 'must be "string"'),
    ({"type": "object", "$schema": "https://example.org/mine"}, ".$schema", "must be that of JSON Schema draft"),
    ({"type": "object", "description": "x" * MAX_CHARACTERS}, "", "must not have more than"),
    (nested(400), "", "is nested too deeply"),
]  # fmt: skip


@pytest.mark.slow
def test_a_schema_that_cannot_be_used_is_refused_before_anything_runs(tmp_path: Path) -> None:
    engine = ScriptedEngine(DONE)
    with serving(tmp_path, engine) as server, server.client() as client:
        for schema, path, message in REFUSED:
            body = {"description": "Count.", "context": {"result_schema": schema}}
            response = client.post("/task", json=body)
            assert response.status_code == 400, (schema, response.text)
            error = response.json()["error"]
            assert error["param"] == f"context.result_schema{path}"
            assert message in error["message"]
        # What is no object at all does not keep the contract.
        refused = client.post("/task", json={"description": "x", "context": {"result_schema": 7}})
        assert refused.json()["error"]["message"] == "context.result_schema: must be an object or null."
        assert client.get("/task").json()["data"] == []
        ok = {"description": "Count.", "context": {"result_schema": None}}
        assert client.post("/task", json=ok).status_code == 200


@pytest.mark.parametrize(
    "part",
    [
        {"type": "string", "pattern": r"^\p{L}+(?<year>\d)(?<!x)$", "format": "email"},
        {"$ref": "#/$defs/a"},
        {"anyOf": [{"type": "integer", "exclusiveMinimum": 1}, {"type": "null"}], "title": "N", "default": {"$ref": 1}},
        {"type": "array", "prefixItems": [{"type": "string"}], "items": True, "uniqueItems": True},
    ],
)
def test_usable_schemas(part: dict[str, Any]) -> None:
    assert schema_problem(a_schema(n=part) | {"$defs": {"a": {"type": "integer"}}}) is None


def test_results_are_validated() -> None:
    schema = a_schema(n={"$ref": "#/$defs/a"}) | {"$defs": {"a": {"type": "integer"}}}
    assert result_problem(schema, {"n": 3}) is None
    assert result_problem(schema, {"n": "secret"}) == Violation("n", "must be an integer")
    assert result_problem(schema, {}) == Violation("n", "is required")
    assert result_problem(schema, {"n": 3, "m": 4}) is not None


def test_no_schema_keeps_the_server_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claude_code_server.contract.result_schema._MAX_SECONDS", 0.05)
    slow = a_schema(n={"type": "string", "pattern": "^(a+)+$"})
    assert result_problem(slow, {"n": "a" * 60 + "!"}) is None
    doubling = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)} | {"d40": True}
    endless = {"e": {"$ref": "#/$defs/e"}}
    for name, definitions in (("d0", doubling), ("e", endless)):
        schema = a_schema(n={"$ref": f"#/$defs/{name}"}) | {"$defs": definitions}
        assert schema_problem(schema) is None
        assert result_problem(schema, {"n": 1}) == Violation("", "could not be validated in time")


def test_the_offline_model_fills_in_what_it_has() -> None:
    schema = a_schema(
        count={"$ref": "#/$defs/a"},
        text={"type": ["string", "null"]},
        files={"items": {"type": "string"}, "type": "array"},
    ) | {"$defs": {"a": {"type": "integer"}}}
    schema["properties"]["unknown"] = {"type": "boolean"}
    text = "Found 1,203 files:\n- a.py\n- b.py"
    assert fill(schema, text) == {"count": 1203, "text": text, "files": ["a.py", "b.py"]}
    with pytest.raises(UnfillableError):
        fill(a_schema(sure={"type": "boolean"}), text)
