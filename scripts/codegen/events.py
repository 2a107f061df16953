"""events.py of the package: TypedDicts for the events of the streams, as they stand on the wire."""

from collections.abc import Iterable
from keyword import iskeyword

from openapi_python_client.strings import pascal_case, safe_for_docstring

from .contract import Contract, Schema, component_name
from .errors import GenerationError

_HEAD = '''"""The events of the streams, as dicts; `event["type"]` says which one it is, to type checkers too.

The unions are open-ended: types and fields that are not listed here may come too, and are passed on.
"""

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

'''
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def events_module(contract: Contract) -> str:
    """The source of events.py: a union for each component that is the `contentSchema` of an event stream."""
    module = _Module(contract)
    for union in _stream_unions(contract):
        module.add_union(union)
    return _HEAD + "\n\n".join(module.parts) + "\n"


def _stream_unions(contract: Contract) -> list[str]:
    found: set[str] = set()
    for operation in contract.operations():
        for response in operation.get("responses", {}).values():
            media_type = contract.follow(response).get("content", {}).get("text/event-stream")
            if media_type is None:
                continue
            name = component_name(media_type.get("schema", {}).get("contentSchema", {}))
            if name is None:
                raise GenerationError(
                    f"{operation['operationId']}: the schema of text/event-stream must have a contentSchema "
                    "that refers to a component"
                )
            found.add(name)
    return sorted(found)


class _Module:
    """Collects definitions, each after those that it needs."""

    def __init__(self, contract: Contract) -> None:
        self.parts: list[str] = []
        self._contract = contract
        self._begun: set[str] = set()
        self._written: set[str] = set()

    def add_union(self, name: str) -> None:
        schema = self._contract.follow(self._contract.schemas[name])
        members = []
        for member in schema.get("oneOf", schema.get("anyOf", ())):
            member_name = component_name(member)
            if member_name is None:
                raise GenerationError(f"every member of {name} must be a reference to a component")
            if "const" not in self._contract.follow(self._contract.properties(member).get("type", {})):
                raise GenerationError(f"{member_name}, a member of {name}, needs a `type` that is a const")
            members.append(self._typed_dict(member_name, member))
        if not members:
            raise GenerationError(f"{name} must be a oneOf of its events")
        self.parts.append(f"{name}: TypeAlias = {' | '.join(members)}")

    def _typed_dict(self, name: str, schema: Schema) -> str:
        if name in self._begun:
            return name if name in self._written else f'"{name}"'
        self._begun.add(name)
        required = self._contract.required(schema)
        fields = {}
        for key, value in self._contract.properties(schema).items():
            annotation = self._annotation(value, f"{name.removesuffix('Dict')}{pascal_case(key)}")
            fields[key] = annotation if key in required else f"NotRequired[{annotation}]"
        self._written.add(name)
        self.parts.append(_definition(name, fields, self._contract.follow(schema).get("description", "")))
        return name

    def _annotation(self, schema: Schema, inline_name: str) -> str:
        name = component_name(schema) or inline_name
        schema = self._contract.follow(schema)
        if "const" in schema:
            return f"Literal[{schema['const']!r}]"
        branches = schema.get("oneOf") or schema.get("anyOf")
        if branches:
            return _union(self._annotation(branch, inline_name) for branch in branches)
        if len(schema.get("allOf", ())) == 1 and "properties" not in schema:
            return self._annotation(schema["allOf"][0], inline_name)
        types = schema.get("type", "object" if "properties" in schema or "allOf" in schema else [])
        types = [types] if isinstance(types, str) else types
        return _union(self._of_type(type_, schema, name) for type_ in types)

    def _of_type(self, type_: str, schema: Schema, name: str) -> str:
        if type_ == "array":
            return f"list[{self._annotation(schema.get('items', {}), name)}]"
        if type_ != "object":
            return _SCALARS[type_]
        if "additionalProperties" in schema or not self._contract.properties(schema):
            return "dict[str, Any]"
        return self._typed_dict(f"{name}Dict", schema)


def _union(annotations: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(annotations)) or "Any"


def _definition(name: str, fields: dict[str, str], description: str) -> str:
    if all(key.isidentifier() and not iskeyword(key) for key in fields):
        body = [f'"""{safe_for_docstring(description.strip())}"""\n'] if description else []
        body += [f"{key}: {annotation}" for key, annotation in fields.items()]
        return f"class {name}(TypedDict):\n" + "\n".join(f"    {line}" for line in body or ["pass"])
    table = ", ".join(f"{key!r}: {annotation}" for key, annotation in fields.items())
    return f"{name} = TypedDict({name!r}, {{{table}}})"
