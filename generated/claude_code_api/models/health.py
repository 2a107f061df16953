# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="Health")


@_attrs_define
class Health:
    """Status of the server.

    Attributes:
        status (str): Status of the server, `ok`.
        version (str): Version of the server.
        engine (str): Engine that runs the tasks, such as `claude-code`.
        spec_version (str): Version of this contract.
        upstream (str | Unset): Where the model is reached, such as `anthropic`, `offline` or a host name.
    """

    status: str
    version: str
    engine: str
    spec_version: str
    upstream: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        status = self.status

        version = self.version

        engine = self.engine

        spec_version = self.spec_version

        upstream = self.upstream

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "status": status,
                "version": version,
                "engine": engine,
                "spec_version": spec_version,
            }
        )
        if upstream is not UNSET:
            field_dict["upstream"] = upstream

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        status = d.pop("status")

        version = d.pop("version")

        engine = d.pop("engine")

        spec_version = d.pop("spec_version")

        upstream = d.pop("upstream", UNSET)

        health = cls(
            status=status,
            version=version,
            engine=engine,
            spec_version=spec_version,
            upstream=upstream,
        )

        health.additional_properties = d
        return health

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
