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

T = TypeVar("T", bound="SkillInvokeEvent")


@_attrs_define
class SkillInvokeEvent:
    """A call that invokes a skill.

    Attributes:
        type_ (Literal['skill_invoke']):
        timestamp (str): Time in ISO 8601, UTC.
        content (str): Short summary of the event for display.
        skill (str):
        input_ (str):
        call_id (str): ID of the call, repeated by its `tool_result` event.
    """

    type_: Literal["skill_invoke"]
    timestamp: str
    content: str
    skill: str
    input_: str
    call_id: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        type_ = self.type_

        timestamp = self.timestamp

        content = self.content

        skill = self.skill

        input_ = self.input_

        call_id = self.call_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "timestamp": timestamp,
                "content": content,
                "skill": skill,
                "input": input_,
                "call_id": call_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        type_ = cast(Literal["skill_invoke"], d.pop("type"))
        if type_ != "skill_invoke":
            raise ValueError(f"type must match const 'skill_invoke', got '{type_}'")

        timestamp = d.pop("timestamp")

        content = d.pop("content")

        skill = d.pop("skill")

        input_ = d.pop("input")

        call_id = d.pop("call_id")

        skill_invoke_event = cls(
            type_=type_,
            timestamp=timestamp,
            content=content,
            skill=skill,
            input_=input_,
            call_id=call_id,
        )

        skill_invoke_event.additional_properties = d
        return skill_invoke_event

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
