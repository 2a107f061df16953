# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.usage_period import UsagePeriod

if TYPE_CHECKING:
    from ..models.model_usage import ModelUsage


T = TypeVar("T", bound="UsageReport")


@_attrs_define
class UsageReport:
    """Usage of an API key in a period.

    Attributes:
        period (UsagePeriod): Reporting period.
        start (str): Start of the period in ISO 8601, UTC.
        end (str): End of the period in ISO 8601, UTC.
        input_tokens (int):
        output_tokens (int):
        total_tokens (int):
        cost (float): Cost in USD.
        limit (float | None): Budget of this API key for the period, in USD; null if there is none. Budgets are of days
            and calendar months in UTC, so the period then begins with the day or the month.
        remaining (float | None): Part of the limit that is neither spent nor reserved for model calls in progress, in
            USD; null if there is no limit.
        models (list[ModelUsage]):
    """

    period: UsagePeriod
    start: str
    end: str
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cost: float
    limit: float | None
    remaining: float | None
    models: list[ModelUsage]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        period = self.period.value

        start = self.start

        end = self.end

        input_tokens = self.input_tokens

        output_tokens = self.output_tokens

        total_tokens = self.total_tokens

        cost = self.cost

        limit: float | None
        limit = self.limit

        remaining: float | None
        remaining = self.remaining

        models = []
        for models_item_data in self.models:
            models_item = models_item_data.to_dict()
            models.append(models_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "period": period,
                "start": start,
                "end": end,
                "input_tokens": input_tokens,
                "output_tokens": output_tokens,
                "total_tokens": total_tokens,
                "cost": cost,
                "limit": limit,
                "remaining": remaining,
                "models": models,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.model_usage import ModelUsage

        d = dict(src_dict)
        period = UsagePeriod(d.pop("period"))

        start = d.pop("start")

        end = d.pop("end")

        input_tokens = d.pop("input_tokens")

        output_tokens = d.pop("output_tokens")

        total_tokens = d.pop("total_tokens")

        cost = d.pop("cost")

        def _parse_limit(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        limit = _parse_limit(d.pop("limit"))

        def _parse_remaining(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        remaining = _parse_remaining(d.pop("remaining"))

        models = []
        _models = d.pop("models")
        for models_item_data in _models:
            models_item = ModelUsage.from_dict(models_item_data)

            models.append(models_item)

        usage_report = cls(
            period=period,
            start=start,
            end=end,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            total_tokens=total_tokens,
            cost=cost,
            limit=limit,
            remaining=remaining,
            models=models,
        )

        usage_report.additional_properties = d
        return usage_report

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
