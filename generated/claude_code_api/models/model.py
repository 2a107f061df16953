# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="Model")


@_attrs_define
class Model:
    """A model and its prices.

    Attributes:
        id (str):
        alias (None | str): Short name, such as `sonnet`; null if the model has none.
        input_price (float): Price in USD per million input tokens.
        output_price (float): Price in USD per million output tokens.
        context_window (int): Size of the context window, in tokens.
        max_output_tokens (int): Maximum number of output tokens.
        default (bool): Whether this model is used if a request names none.
        long_context_over (int | None | Unset): Number of prompt tokens above which the prices of long contexts apply to
            a whole request; null or absent if there are none.
        long_context_input_price (float | None | Unset): Price in USD per million input tokens of a long context.
        long_context_output_price (float | None | Unset): Price in USD per million output tokens after a long context.
    """

    id: str
    alias: None | str
    input_price: float
    output_price: float
    context_window: int
    max_output_tokens: int
    default: bool
    long_context_over: int | None | Unset = UNSET
    long_context_input_price: float | None | Unset = UNSET
    long_context_output_price: float | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        alias: None | str
        alias = self.alias

        input_price = self.input_price

        output_price = self.output_price

        context_window = self.context_window

        max_output_tokens = self.max_output_tokens

        default = self.default

        long_context_over: int | None | Unset
        if isinstance(self.long_context_over, Unset):
            long_context_over = UNSET
        else:
            long_context_over = self.long_context_over

        long_context_input_price: float | None | Unset
        if isinstance(self.long_context_input_price, Unset):
            long_context_input_price = UNSET
        else:
            long_context_input_price = self.long_context_input_price

        long_context_output_price: float | None | Unset
        if isinstance(self.long_context_output_price, Unset):
            long_context_output_price = UNSET
        else:
            long_context_output_price = self.long_context_output_price

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "alias": alias,
                "input_price": input_price,
                "output_price": output_price,
                "context_window": context_window,
                "max_output_tokens": max_output_tokens,
                "default": default,
            }
        )
        if long_context_over is not UNSET:
            field_dict["long_context_over"] = long_context_over
        if long_context_input_price is not UNSET:
            field_dict["long_context_input_price"] = long_context_input_price
        if long_context_output_price is not UNSET:
            field_dict["long_context_output_price"] = long_context_output_price

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = d.pop("id")

        def _parse_alias(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        alias = _parse_alias(d.pop("alias"))

        input_price = d.pop("input_price")

        output_price = d.pop("output_price")

        context_window = d.pop("context_window")

        max_output_tokens = d.pop("max_output_tokens")

        default = d.pop("default")

        def _parse_long_context_over(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        long_context_over = _parse_long_context_over(d.pop("long_context_over", UNSET))

        def _parse_long_context_input_price(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        long_context_input_price = _parse_long_context_input_price(d.pop("long_context_input_price", UNSET))

        def _parse_long_context_output_price(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        long_context_output_price = _parse_long_context_output_price(d.pop("long_context_output_price", UNSET))

        model = cls(
            id=id,
            alias=alias,
            input_price=input_price,
            output_price=output_price,
            context_window=context_window,
            max_output_tokens=max_output_tokens,
            default=default,
            long_context_over=long_context_over,
            long_context_input_price=long_context_input_price,
            long_context_output_price=long_context_output_price,
        )

        model.additional_properties = d
        return model

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
