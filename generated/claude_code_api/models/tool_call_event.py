# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from collections.abc import Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeVar,
    cast,
)

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.tool_call_event_tool_arguments import ToolCallEventToolArguments


T = TypeVar("T", bound="ToolCallEvent")


@_attrs_define
class ToolCallEvent:
    """A tool call.

    Attributes:
        type_ (Literal['tool_call']):
        timestamp (str): Time in ISO 8601, UTC.
        content (str): Short summary of the event for display.
        tool (str):
        arguments (ToolCallEventToolArguments):
        call_id (str): ID of the call, repeated by its `tool_result` event.
    """

    type_: Literal["tool_call"]
    timestamp: str
    content: str
    tool: str
    arguments: ToolCallEventToolArguments
    call_id: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        type_ = self.type_

        timestamp = self.timestamp

        content = self.content

        tool = self.tool

        arguments = self.arguments.to_dict()

        call_id = self.call_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "timestamp": timestamp,
                "content": content,
                "tool": tool,
                "arguments": arguments,
                "call_id": call_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.tool_call_event_tool_arguments import ToolCallEventToolArguments

        d = dict(src_dict)
        type_ = cast(Literal["tool_call"], d.pop("type"))
        if type_ != "tool_call":
            raise ValueError(f"type must match const 'tool_call', got '{type_}'")

        timestamp = d.pop("timestamp")

        content = d.pop("content")

        tool = d.pop("tool")

        arguments = ToolCallEventToolArguments.from_dict(d.pop("arguments"))

        call_id = d.pop("call_id")

        tool_call_event = cls(
            type_=type_,
            timestamp=timestamp,
            content=content,
            tool=tool,
            arguments=arguments,
            call_id=call_id,
        )

        tool_call_event.additional_properties = d
        return tool_call_event

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
