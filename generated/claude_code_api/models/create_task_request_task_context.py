# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.create_task_request_task_context_result_schema import (
        CreateTaskRequestTaskContextResultSchema,
    )


T = TypeVar("T", bound="CreateTaskRequestTaskContext")


@_attrs_define
class CreateTaskRequestTaskContext:
    """
    Attributes:
        result_schema (CreateTaskRequestTaskContextResultSchema | None | Unset): JSON Schema, of type `object`, of the
            task's `result`: draft 2020-12, or draft-07 if its `$schema` says so. It must be self-contained, and have no
            keywords other than those of the draft. A task whose result does not conform fails. If the schema has no
            `summary`, a text with this name is added to what it describes.
    """

    result_schema: CreateTaskRequestTaskContextResultSchema | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.create_task_request_task_context_result_schema import (
            CreateTaskRequestTaskContextResultSchema,
        )

        result_schema: dict[str, Any] | None | Unset
        if isinstance(self.result_schema, Unset):
            result_schema = UNSET
        elif isinstance(self.result_schema, CreateTaskRequestTaskContextResultSchema):
            result_schema = self.result_schema.to_dict()
        else:
            result_schema = self.result_schema

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if result_schema is not UNSET:
            field_dict["result_schema"] = result_schema

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.create_task_request_task_context_result_schema import (
            CreateTaskRequestTaskContextResultSchema,
        )

        d = dict(src_dict)

        def _parse_result_schema(data: object) -> CreateTaskRequestTaskContextResultSchema | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                result_schema_type_0 = CreateTaskRequestTaskContextResultSchema.from_dict(data)

                return result_schema_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CreateTaskRequestTaskContextResultSchema | None | Unset, data)

        result_schema = _parse_result_schema(d.pop("result_schema", UNSET))

        create_task_request_task_context = cls(
            result_schema=result_schema,
        )

        create_task_request_task_context.additional_properties = d
        return create_task_request_task_context

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
