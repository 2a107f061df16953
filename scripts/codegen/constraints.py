"""Source of constraints.py: types and constraints of request body fields."""

from __future__ import annotations

from typing import Any

from openapi_python_client.parser.properties.protocol import PropertyProtocol

from .client_generator import GeneratedClient, class_name, item_property, non_null
from .contract import Contract, Schema

_KEYWORDS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "pattern",
    "enum",
)
_TEMPLATE = '''"""Types and constraints of request body fields, for checks before a request is sent.

Each field of a class in a request body has an entry of these keys:

- `required` (bool): always present;
- `type`: the JSON type, `string`, `number`, `integer`, `boolean`, `array` or `object`, or a list of types if the
  contract allows more than one. Absent if the contract allows any. `null` is left out: an optional field may be omitted
  instead;
- `class`: the name of the generated class in `models` for its values, if they are objects or enumerations;
- `items`: the same keys, without `required`, for the items of an array;
- the JSON Schema keywords that apply: `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `minLength`,
  `maxLength`, `minItems`, `maxItems`, `pattern`, `enum`.
"""

from collections.abc import Mapping
from typing import Any, Final

CONSTRAINTS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {table!r}
"""Class name → attribute → key → value."""
'''


def constraints_module(contract: Contract, client: GeneratedClient) -> str:
    """Return the source of constraints.py."""
    return _TEMPLATE.format(table=_constraints(contract, client))


def _constraints(contract: Contract, client: GeneratedClient) -> dict[str, dict[str, dict[str, Any]]]:
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for component in contract.request_components():
        name = str(client.classes[component].name)
        attributes = client.attributes.get(name, {})
        required = contract.required(contract.schemas[component])
        rows = {
            str(attributes[wire_name].python_name): {
                "required": wire_name in required,
                **_field(contract, schema, non_null(attributes[wire_name])),
            }
            for wire_name, schema in contract.properties(contract.schemas[component]).items()
            if wire_name in attributes
        }
        if rows:
            table[name] = rows
    return table


def _field(contract: Contract, schema: Schema, prop: PropertyProtocol | None) -> dict[str, Any]:
    """Return the constraints on a value of `schema` other than null."""
    keywords = _keywords(contract, schema)
    items = keywords.pop("items", None)
    if (name := class_name(prop)) is not None:
        keywords["class"] = name
    if items is not None:
        keywords["items"] = _field(contract, items, item_property(prop))
    return keywords


def _keywords(contract: Contract, schema: Schema) -> dict[str, Any]:
    schema = contract.follow(schema)
    found: dict[str, Any] = {}
    if (types := _types(contract, schema)) and types != ["null"]:
        found["type"] = types[0] if len(types) == 1 else types
    for part in schema.get("allOf", ()):
        found |= _keywords(contract, part)
    for union in (schema.get("oneOf"), schema.get("anyOf")):
        branches = [branch for branch in union or () if _types(contract, branch) != ["null"]]
        if len(branches) == 1:
            found |= _keywords(contract, branches[0])
    if "items" in schema:
        found["items"] = schema["items"]
    if "const" in schema:
        found["enum"] = [schema["const"]]
    found |= {key: schema[key] for key in _KEYWORDS if key in schema}
    if "enum" in found:
        found["enum"] = [value for value in found["enum"] if value is not None]
    return found


def _types(contract: Contract, schema: Schema) -> list[str]:
    """Return the JSON types other than null that the schema names, or ["null"] if it allows nothing else."""
    schema = contract.follow(schema)
    stated = schema.get("type", [])
    types = [stated] if isinstance(stated, str) else list(stated)
    if not types and ("properties" in schema or "additionalProperties" in schema):
        types.append("object")
    if not types:
        for key in ("allOf", "oneOf", "anyOf"):
            for branch in schema.get(key, ()):
                types += _types(contract, branch)
    if types and set(types) == {"null"}:
        return ["null"]
    return [type_ for type_ in dict.fromkeys(types) if type_ != "null"]
