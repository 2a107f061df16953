# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.create_task_request_task_context import CreateTaskRequestTaskContext


T = TypeVar("T", bound="CreateTaskRequest")


@_attrs_define
class CreateTaskRequest:
    """Instructions, permissions and limits of a task.

    Attributes:
        description (str): Instructions for the agent. Must contain a character other than whitespace.
        allow_tools (list[str] | None | Unset): Tools that the task may use. If omitted, the tools that the API key may
            use by default.
        allow_agents (list[str] | None | Unset): Agents that the task may spawn. Defaults to `[]`: none.
        allow_skills (list[str] | None | Unset): Skills that the task may invoke. Defaults to `[]`: none.
        timeout (float | None | Unset): Time limit of the task, in seconds. Defaults to `300`, or less if the API key
            may not use that.
        max_cost (float | None | Unset): Cost limit of the task, in USD. Defaults to `1.0`, or less if the API key may
            not use that.
        context (CreateTaskRequestTaskContext | None | Unset): Free-form object that is passed to the agent as data, but
            for `result_schema`.
        model (None | str | Unset): `haiku`, `sonnet`, `opus` or a full model ID. If omitted, the server chooses one
            that the key may use.
        working_directory (None | str | Unset): Directory inside the server's workspace in which the task runs. If
            omitted, the root of the workspace. `/project` also stands for the root.
    """

    description: str
    allow_tools: list[str] | None | Unset = UNSET
    allow_agents: list[str] | None | Unset = UNSET
    allow_skills: list[str] | None | Unset = UNSET
    timeout: float | None | Unset = UNSET
    max_cost: float | None | Unset = UNSET
    context: CreateTaskRequestTaskContext | None | Unset = UNSET
    model: None | str | Unset = UNSET
    working_directory: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.create_task_request_task_context import (
            CreateTaskRequestTaskContext,
        )

        description = self.description

        allow_tools: list[str] | None | Unset
        if isinstance(self.allow_tools, Unset):
            allow_tools = UNSET
        elif isinstance(self.allow_tools, list):
            allow_tools = self.allow_tools

        else:
            allow_tools = self.allow_tools

        allow_agents: list[str] | None | Unset
        if isinstance(self.allow_agents, Unset):
            allow_agents = UNSET
        elif isinstance(self.allow_agents, list):
            allow_agents = self.allow_agents

        else:
            allow_agents = self.allow_agents

        allow_skills: list[str] | None | Unset
        if isinstance(self.allow_skills, Unset):
            allow_skills = UNSET
        elif isinstance(self.allow_skills, list):
            allow_skills = self.allow_skills

        else:
            allow_skills = self.allow_skills

        timeout: float | None | Unset
        if isinstance(self.timeout, Unset):
            timeout = UNSET
        else:
            timeout = self.timeout

        max_cost: float | None | Unset
        if isinstance(self.max_cost, Unset):
            max_cost = UNSET
        else:
            max_cost = self.max_cost

        context: dict[str, Any] | None | Unset
        if isinstance(self.context, Unset):
            context = UNSET
        elif isinstance(self.context, CreateTaskRequestTaskContext):
            context = self.context.to_dict()
        else:
            context = self.context

        model: None | str | Unset
        if isinstance(self.model, Unset):
            model = UNSET
        else:
            model = self.model

        working_directory: None | str | Unset
        if isinstance(self.working_directory, Unset):
            working_directory = UNSET
        else:
            working_directory = self.working_directory

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "description": description,
            }
        )
        if allow_tools is not UNSET:
            field_dict["allow_tools"] = allow_tools
        if allow_agents is not UNSET:
            field_dict["allow_agents"] = allow_agents
        if allow_skills is not UNSET:
            field_dict["allow_skills"] = allow_skills
        if timeout is not UNSET:
            field_dict["timeout"] = timeout
        if max_cost is not UNSET:
            field_dict["max_cost"] = max_cost
        if context is not UNSET:
            field_dict["context"] = context
        if model is not UNSET:
            field_dict["model"] = model
        if working_directory is not UNSET:
            field_dict["working_directory"] = working_directory

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.create_task_request_task_context import (
            CreateTaskRequestTaskContext,
        )

        d = dict(src_dict)
        description = d.pop("description")

        def _parse_allow_tools(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                allow_tools_type_0 = cast(list[str], data)

                return allow_tools_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        allow_tools = _parse_allow_tools(d.pop("allow_tools", UNSET))

        def _parse_allow_agents(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                allow_agents_type_0 = cast(list[str], data)

                return allow_agents_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        allow_agents = _parse_allow_agents(d.pop("allow_agents", UNSET))

        def _parse_allow_skills(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                allow_skills_type_0 = cast(list[str], data)

                return allow_skills_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        allow_skills = _parse_allow_skills(d.pop("allow_skills", UNSET))

        def _parse_timeout(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        timeout = _parse_timeout(d.pop("timeout", UNSET))

        def _parse_max_cost(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        max_cost = _parse_max_cost(d.pop("max_cost", UNSET))

        def _parse_context(data: object) -> CreateTaskRequestTaskContext | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                context_task_context = CreateTaskRequestTaskContext.from_dict(data)

                return context_task_context
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CreateTaskRequestTaskContext | None | Unset, data)

        context = _parse_context(d.pop("context", UNSET))

        def _parse_model(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        model = _parse_model(d.pop("model", UNSET))

        def _parse_working_directory(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        working_directory = _parse_working_directory(d.pop("working_directory", UNSET))

        create_task_request = cls(
            description=description,
            allow_tools=allow_tools,
            allow_agents=allow_agents,
            allow_skills=allow_skills,
            timeout=timeout,
            max_cost=max_cost,
            context=context,
            model=model,
            working_directory=working_directory,
        )

        create_task_request.additional_properties = d
        return create_task_request

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
