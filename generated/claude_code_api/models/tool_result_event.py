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

T = TypeVar("T", bound="ToolResultEvent")


@_attrs_define
class ToolResultEvent:
    """Result of a tool call.

    Attributes:
        type_ (Literal['tool_result']):
        timestamp (str): Time in ISO 8601, UTC.
        content (str): Short summary of the event for display.
        tool (str):
        call_id (str): ID of the call, as in its `tool_call` event.
        status (str): `success` or `error`.
        result (str):
    """

    type_: Literal["tool_result"]
    timestamp: str
    content: str
    tool: str
    call_id: str
    status: str
    result: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        type_ = self.type_

        timestamp = self.timestamp

        content = self.content

        tool = self.tool

        call_id = self.call_id

        status = self.status

        result = self.result

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "timestamp": timestamp,
                "content": content,
                "tool": tool,
                "call_id": call_id,
                "status": status,
                "result": result,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        type_ = cast(Literal["tool_result"], d.pop("type"))
        if type_ != "tool_result":
            raise ValueError(f"type must match const 'tool_result', got '{type_}'")

        timestamp = d.pop("timestamp")

        content = d.pop("content")

        tool = d.pop("tool")

        call_id = d.pop("call_id")

        status = d.pop("status")

        result = d.pop("result")

        tool_result_event = cls(
            type_=type_,
            timestamp=timestamp,
            content=content,
            tool=tool,
            call_id=call_id,
            status=status,
            result=result,
        )

        tool_result_event.additional_properties = d
        return tool_result_event

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
