# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="KeyLimits")


@_attrs_define
class KeyLimits:
    """Limits of an API key. One that is missing or null does not apply.

    Attributes:
        requests_per_minute (int | None | Unset): Requests a minute. Those about a task that has been started do not
            count.
        tasks_at_once (int | None | Unset): Tasks that may be pending or running at once.
        max_timeout (float | None | Unset): Largest timeout of a task, in seconds.
        max_cost (float | None | Unset): Largest `max_cost` of a task, in USD.
        day_budget (float | None | Unset): Budget a day (UTC), in USD.
        month_budget (float | None | Unset): Budget a calendar month (UTC), in USD.
    """

    requests_per_minute: int | None | Unset = UNSET
    tasks_at_once: int | None | Unset = UNSET
    max_timeout: float | None | Unset = UNSET
    max_cost: float | None | Unset = UNSET
    day_budget: float | None | Unset = UNSET
    month_budget: float | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        requests_per_minute: int | None | Unset
        if isinstance(self.requests_per_minute, Unset):
            requests_per_minute = UNSET
        else:
            requests_per_minute = self.requests_per_minute

        tasks_at_once: int | None | Unset
        if isinstance(self.tasks_at_once, Unset):
            tasks_at_once = UNSET
        else:
            tasks_at_once = self.tasks_at_once

        max_timeout: float | None | Unset
        if isinstance(self.max_timeout, Unset):
            max_timeout = UNSET
        else:
            max_timeout = self.max_timeout

        max_cost: float | None | Unset
        if isinstance(self.max_cost, Unset):
            max_cost = UNSET
        else:
            max_cost = self.max_cost

        day_budget: float | None | Unset
        if isinstance(self.day_budget, Unset):
            day_budget = UNSET
        else:
            day_budget = self.day_budget

        month_budget: float | None | Unset
        if isinstance(self.month_budget, Unset):
            month_budget = UNSET
        else:
            month_budget = self.month_budget

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if requests_per_minute is not UNSET:
            field_dict["requests_per_minute"] = requests_per_minute
        if tasks_at_once is not UNSET:
            field_dict["tasks_at_once"] = tasks_at_once
        if max_timeout is not UNSET:
            field_dict["max_timeout"] = max_timeout
        if max_cost is not UNSET:
            field_dict["max_cost"] = max_cost
        if day_budget is not UNSET:
            field_dict["day_budget"] = day_budget
        if month_budget is not UNSET:
            field_dict["month_budget"] = month_budget

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_requests_per_minute(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        requests_per_minute = _parse_requests_per_minute(d.pop("requests_per_minute", UNSET))

        def _parse_tasks_at_once(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        tasks_at_once = _parse_tasks_at_once(d.pop("tasks_at_once", UNSET))

        def _parse_max_timeout(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        max_timeout = _parse_max_timeout(d.pop("max_timeout", UNSET))

        def _parse_max_cost(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        max_cost = _parse_max_cost(d.pop("max_cost", UNSET))

        def _parse_day_budget(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        day_budget = _parse_day_budget(d.pop("day_budget", UNSET))

        def _parse_month_budget(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        month_budget = _parse_month_budget(d.pop("month_budget", UNSET))

        key_limits = cls(
            requests_per_minute=requests_per_minute,
            tasks_at_once=tasks_at_once,
            max_timeout=max_timeout,
            max_cost=max_cost,
            day_budget=day_budget,
            month_budget=month_budget,
        )

        key_limits.additional_properties = d
        return key_limits

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
