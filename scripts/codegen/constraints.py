"""constraints.py of the package: what the contract demands of request values beyond their types."""

from collections.abc import Mapping
from typing import Any

from .client import PythonNames
from .contract import Contract, Schema, component_name

KEYWORDS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "pattern",
)
_TEMPLATE = '''"""What the contract demands of request values beyond their types, to check before sending."""

from collections.abc import Mapping
from typing import Any, Final

CONSTRAINTS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {table!r}
"""Class name → attribute → JSON Schema keyword → value; only attributes with at least one keyword."""
'''


def constraints_module(contract: Contract, python_names: PythonNames) -> str:
    """The source of constraints.py."""
    return _TEMPLATE.format(table=constraints(contract, python_names))


def constraints(contract: Contract, python_names: PythonNames) -> dict[str, dict[str, dict[str, Any]]]:
    """Class name → attribute → keyword → value, for every component that a request body can hold."""
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for name in _request_components(contract):
        attributes = python_names.get(name, {})
        rows = {
            attributes[wire_name]: keywords
            for wire_name, schema in contract.properties(contract.schemas[name]).items()
            if wire_name in attributes and (keywords := _keywords(contract, schema))
        }
        if rows:
            table[name] = rows
    return table


def _keywords(contract: Contract, schema: Schema) -> dict[str, Any]:
    """The keywords that hold for every value but null."""
    schema = contract.follow(schema)
    found: dict[str, Any] = {}
    for part in schema.get("allOf", ()):
        found |= _keywords(contract, part)
    for union in (schema.get("oneOf"), schema.get("anyOf")):
        branches = [branch for branch in union or () if contract.follow(branch).get("type") != "null"]
        if len(branches) == 1:
            found |= _keywords(contract, branches[0])
    return found | {key: schema[key] for key in KEYWORDS if key in schema}


def _request_components(contract: Contract) -> list[str]:
    """The names of the components that request bodies are made of."""
    found: list[str] = []

    def visit(schema: Schema) -> None:
        name = component_name(schema)
        if name is not None:
            if name in found:
                return
            found.append(name)
        schema = contract.follow(schema)
        for child in contract.properties(schema).values():
            visit(child)
        for key in ("allOf", "oneOf", "anyOf"):
            for child in schema.get(key, ()):
                visit(child)
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), Mapping):
                visit(schema[key])

    for operation in contract.operations():
        if "requestBody" in operation:
            for media_type in contract.follow(operation["requestBody"])["content"].values():
                visit(media_type.get("schema", {}))
    return sorted(found)
