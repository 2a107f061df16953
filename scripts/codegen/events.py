"""Source of events.py: a TypedDict for each stream event, as it is on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from keyword import iskeyword

from openapi_python_client.strings import pascal_case, safe_for_docstring

from .contract import Contract, Schema, component_name
from .event_unions import event_unions

_HEAD = '''"""Stream events as dicts. Checking `event["type"]` narrows a union to one event, for type checkers too.

The unions are open-ended: a server may also send event types and fields that are not listed here. The last member of
each union stands for such types, so that `assert_never` after all others does not pass type checkers.
"""

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

'''
UNKNOWN_TYPE = "<unknown>"
_UNKNOWN = "Event of a type that this version does not know. At run time, `type` is the name of that type."
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def events_module(contract: Contract) -> str:
    """Return the source of events.py: each union of stream events with the TypedDicts of its members."""
    module = _Module(contract)
    for union, members in event_unions(contract).items():
        module.add_union(union, members)
    return _HEAD + "\n\n".join(module.parts) + "\n"


class _Module:
    """Definitions of a module, each after the ones it depends on."""

    def __init__(self, contract: Contract) -> None:
        self.parts: list[str] = []
        self._contract = contract
        self._started: set[str] = set()
        self._written: set[str] = set()

    def add_union(self, name: str, members: Mapping[str, str]) -> None:
        typed_dicts = [self._typed_dict(member, self._contract.schemas[member]) for member in members.values()]
        typed_dicts.append(self._unknown_event(name, [self._contract.schemas[member] for member in members.values()]))
        self.parts.append(f"{name}: TypeAlias = {' | '.join(typed_dicts)}")

    def _unknown_event(self, union: str, members: Sequence[Schema]) -> str:
        """Define the event of a type that the contract does not list: it has the fields that all members require."""
        name = f"Unknown{union}"
        shared = set.intersection(*(set(self._contract.required(member)) for member in members))
        # A literal, not str, so that checking `type` for a listed event leaves this one out.
        fields = {"type": f"Literal[{UNKNOWN_TYPE!r}]"}
        for key, value in self._contract.properties(members[0]).items():
            if key in shared and key != "type":
                fields[key] = self._annotation(value, f"{name}{pascal_case(key)}")
        self.parts.append(_definition(name, fields, _UNKNOWN))
        return name

    def _typed_dict(self, name: str, schema: Schema) -> str:
        if name in self._started:
            return name if name in self._written else f'"{name}"'
        self._started.add(name)
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
