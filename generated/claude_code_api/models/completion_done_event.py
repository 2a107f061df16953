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
    from ..models.completion_response import CompletionResponse


T = TypeVar("T", bound="CompletionDoneEvent")


@_attrs_define
class CompletionDoneEvent:
    """Terminal event with the whole reply.

    Attributes:
        type_ (Literal['completion']):
        completion (CompletionResponse): A completion.
    """

    type_: Literal["completion"]
    completion: CompletionResponse
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        type_ = self.type_

        completion = self.completion.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "completion": completion,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.completion_response import CompletionResponse

        d = dict(src_dict)
        type_ = cast(Literal["completion"], d.pop("type"))
        if type_ != "completion":
            raise ValueError(f"type must match const 'completion', got '{type_}'")

        completion = CompletionResponse.from_dict(d.pop("completion"))

        completion_done_event = cls(
            type_=type_,
            completion=completion,
        )

        completion_done_event.additional_properties = d
        return completion_done_event

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
