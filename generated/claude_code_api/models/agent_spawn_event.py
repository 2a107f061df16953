# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from collections.abc import Mapping
from typing import (
    Any,
    Literal,
    TypeVar,
    cast,
)

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="AgentSpawnEvent")


@_attrs_define
class AgentSpawnEvent:
    """A call that spawns an agent. The agent's report is the result of the call.

    Attributes:
        type_ (Literal['agent_spawn']):
        timestamp (str): Time in ISO 8601, UTC.
        content (str): Short summary of the event for display.
        agent (str):
        reason (str):
        call_id (str): ID of the call, repeated by its `tool_result` event.
    """

    type_: Literal["agent_spawn"]
    timestamp: str
    content: str
    agent: str
    reason: str
    call_id: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        type_ = self.type_

        timestamp = self.timestamp

        content = self.content

        agent = self.agent

        reason = self.reason

        call_id = self.call_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "timestamp": timestamp,
                "content": content,
                "agent": agent,
                "reason": reason,
                "call_id": call_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        type_ = cast(Literal["agent_spawn"], d.pop("type"))
        if type_ != "agent_spawn":
            raise ValueError(f"type must match const 'agent_spawn', got '{type_}'")

        timestamp = d.pop("timestamp")

        content = d.pop("content")

        agent = d.pop("agent")

        reason = d.pop("reason")

        call_id = d.pop("call_id")

        agent_spawn_event = cls(
            type_=type_,
            timestamp=timestamp,
            content=content,
            agent=agent,
            reason=reason,
            call_id=call_id,
        )

        agent_spawn_event.additional_properties = d
        return agent_spawn_event

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
