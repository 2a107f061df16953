"""Unions of stream events in the contract."""

from __future__ import annotations

from collections.abc import Mapping

from .contract import Contract, component_name
from .errors import GenerationError


def event_unions(contract: Contract) -> dict[str, Mapping[str, str]]:
    """Return each union of stream events: component name → event type → component name of the member.

    A union is the component that describes the `data` of each event of a `text/event-stream` response, whose
    `contentSchema` is an array of events.

    Raises:
        GenerationError: An event stream has no such union, or a union has a member without a distinct constant `type`.
    """
    return {name: _members(contract, name) for name in sorted(_stream_components(contract))}


def _stream_components(contract: Contract) -> set[str]:
    found: set[str] = set()
    for operation in contract.operations():
        for response in operation.get("responses", {}).values():
            media_type = contract.follow(response).get("content", {}).get("text/event-stream")
            if media_type is None:
                continue
            events = media_type.get("schema", {}).get("contentSchema", {}).get("items", {})
            name = component_name(events.get("properties", {}).get("data", {}).get("contentSchema", {}))
            if name is None:
                raise GenerationError(
                    f"{operation['operationId']}: the schema of text/event-stream must have a contentSchema, an array "
                    "of events whose data has a contentSchema that refers to a component"
                )
            found.add(name)
    return found


def _members(contract: Contract, union: str) -> dict[str, str]:
    schema = contract.follow(contract.schemas[union])
    members: dict[str, str] = {}
    for member in schema.get("oneOf", schema.get("anyOf", ())):
        name = component_name(member)
        if name is None:
            raise GenerationError(f"every member of {union} must be a reference to a component")
        event_type = contract.follow(contract.properties(member).get("type", {})).get("const")
        if not isinstance(event_type, str):
            raise GenerationError(f"{name}, a member of {union}, needs a `type` whose schema is a const string")
        if event_type in members:
            raise GenerationError(f"{members[event_type]} and {name}, members of {union}, have the same type")
        members[event_type] = name
    if not members:
        raise GenerationError(f"{union} must be a oneOf of its events")
    return members
