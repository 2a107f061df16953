# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="Artifact")


@_attrs_define
class Artifact:
    """A file that a task created or changed.

    Attributes:
        id (str):
        type_ (str): Kind of file, such as `file`, or `patch` for all changes of a task that worked in a copy. Open-
            ended.
        path (str): Path relative to the task's working directory, with forward slashes.
        size_bytes (int): Size in bytes.
        sha256 (str): SHA-256 of the file, in hexadecimal.
        created_at (str): Time in ISO 8601, UTC.
    """

    id: str
    type_: str
    path: str
    size_bytes: int
    sha256: str
    created_at: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        type_ = self.type_

        path = self.path

        size_bytes = self.size_bytes

        sha256 = self.sha256

        created_at = self.created_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "type": type_,
                "path": path,
                "size_bytes": size_bytes,
                "sha256": sha256,
                "created_at": created_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = d.pop("id")

        type_ = d.pop("type")

        path = d.pop("path")

        size_bytes = d.pop("size_bytes")

        sha256 = d.pop("sha256")

        created_at = d.pop("created_at")

        artifact = cls(
            id=id,
            type_=type_,
            path=path,
            size_bytes=size_bytes,
            sha256=sha256,
            created_at=created_at,
        )

        artifact.additional_properties = d
        return artifact

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
