# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.capability import Capability
    from ..models.key_limits import KeyLimits


T = TypeVar("T", bound="Capabilities")


@_attrs_define
class Capabilities:
    """Tools, agents and skills that the API key may use.

    Attributes:
        tools (list[Capability]):
        agents (list[Capability]):
        skills (list[Capability]):
        limits (KeyLimits | Unset): Limits of an API key. One that is missing or null does not apply.
    """

    tools: list[Capability]
    agents: list[Capability]
    skills: list[Capability]
    limits: KeyLimits | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        tools = []
        for tools_item_data in self.tools:
            tools_item = tools_item_data.to_dict()
            tools.append(tools_item)

        agents = []
        for agents_item_data in self.agents:
            agents_item = agents_item_data.to_dict()
            agents.append(agents_item)

        skills = []
        for skills_item_data in self.skills:
            skills_item = skills_item_data.to_dict()
            skills.append(skills_item)

        limits: dict[str, Any] | Unset = UNSET
        if not isinstance(self.limits, Unset):
            limits = self.limits.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "tools": tools,
                "agents": agents,
                "skills": skills,
            }
        )
        if limits is not UNSET:
            field_dict["limits"] = limits

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.capability import Capability
        from ..models.key_limits import KeyLimits

        d = dict(src_dict)
        tools = []
        _tools = d.pop("tools")
        for tools_item_data in _tools:
            tools_item = Capability.from_dict(tools_item_data)

            tools.append(tools_item)

        agents = []
        _agents = d.pop("agents")
        for agents_item_data in _agents:
            agents_item = Capability.from_dict(agents_item_data)

            agents.append(agents_item)

        skills = []
        _skills = d.pop("skills")
        for skills_item_data in _skills:
            skills_item = Capability.from_dict(skills_item_data)

            skills.append(skills_item)

        _limits = d.pop("limits", UNSET)
        limits: KeyLimits | Unset
        if isinstance(_limits, Unset):
            limits = UNSET
        else:
            limits = KeyLimits.from_dict(_limits)

        capabilities = cls(
            tools=tools,
            agents=agents,
            skills=skills,
            limits=limits,
        )

        capabilities.additional_properties = d
        return capabilities

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
