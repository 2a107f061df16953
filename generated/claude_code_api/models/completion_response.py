# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.completion_usage import CompletionUsage
    from ..models.text_block import TextBlock


T = TypeVar("T", bound="CompletionResponse")


@_attrs_define
class CompletionResponse:
    """A completion.

    Attributes:
        id (str):
        content (list[TextBlock] | str): Content of the reply. Clients also accept a plain string.
        model (str): Model that was used.
        usage (CompletionUsage): Tokens and cost of a completion.
        type_ (str | Unset): Object type, `message`.
        role (str | Unset): Author of the reply, `assistant`.
        stop_reason (None | str | Unset): Why the reply ended, such as `end_turn`, `max_tokens` or `stop_sequence`.
            Open-ended.
        stop_sequence (None | str | Unset): The sequence of `stop` that ended the reply, if any.
        warnings (list[str] | Unset): Parts of the request that were not honoured, in words, among them fields that the
            server does not know.
    """

    id: str
    content: list[TextBlock] | str
    model: str
    usage: CompletionUsage
    type_: str | Unset = UNSET
    role: str | Unset = UNSET
    stop_reason: None | str | Unset = UNSET
    stop_sequence: None | str | Unset = UNSET
    warnings: list[str] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        content: list[dict[str, Any]] | str
        if isinstance(self.content, list):
            content = []
            for content_type_0_item_data in self.content:
                content_type_0_item = content_type_0_item_data.to_dict()
                content.append(content_type_0_item)

        else:
            content = self.content

        model = self.model

        usage = self.usage.to_dict()

        type_ = self.type_

        role = self.role

        stop_reason: None | str | Unset
        if isinstance(self.stop_reason, Unset):
            stop_reason = UNSET
        else:
            stop_reason = self.stop_reason

        stop_sequence: None | str | Unset
        if isinstance(self.stop_sequence, Unset):
            stop_sequence = UNSET
        else:
            stop_sequence = self.stop_sequence

        warnings: list[str] | Unset = UNSET
        if not isinstance(self.warnings, Unset):
            warnings = self.warnings

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "content": content,
                "model": model,
                "usage": usage,
            }
        )
        if type_ is not UNSET:
            field_dict["type"] = type_
        if role is not UNSET:
            field_dict["role"] = role
        if stop_reason is not UNSET:
            field_dict["stop_reason"] = stop_reason
        if stop_sequence is not UNSET:
            field_dict["stop_sequence"] = stop_sequence
        if warnings is not UNSET:
            field_dict["warnings"] = warnings

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.completion_usage import CompletionUsage
        from ..models.text_block import TextBlock

        d = dict(src_dict)
        id = d.pop("id")

        def _parse_content(data: object) -> list[TextBlock] | str:
            try:
                if not isinstance(data, list):
                    raise TypeError()
                content_type_0 = []
                _content_type_0 = data
                for content_type_0_item_data in _content_type_0:
                    content_type_0_item = TextBlock.from_dict(content_type_0_item_data)

                    content_type_0.append(content_type_0_item)

                return content_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[TextBlock] | str, data)

        content = _parse_content(d.pop("content"))

        model = d.pop("model")

        usage = CompletionUsage.from_dict(d.pop("usage"))

        type_ = d.pop("type", UNSET)

        role = d.pop("role", UNSET)

        def _parse_stop_reason(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        stop_reason = _parse_stop_reason(d.pop("stop_reason", UNSET))

        def _parse_stop_sequence(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        stop_sequence = _parse_stop_sequence(d.pop("stop_sequence", UNSET))

        warnings = cast(list[str], d.pop("warnings", UNSET))

        completion_response = cls(
            id=id,
            content=content,
            model=model,
            usage=usage,
            type_=type_,
            role=role,
            stop_reason=stop_reason,
            stop_sequence=stop_sequence,
            warnings=warnings,
        )

        completion_response.additional_properties = d
        return completion_response

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
