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

from ..models.task_status import TaskStatus
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.artifact import Artifact
    from ..models.error_detail import ErrorDetail
    from ..models.task_result import TaskResult
    from ..models.task_usage import TaskUsage


T = TypeVar("T", bound="ResultEvent")


@_attrs_define
class ResultEvent:
    """Terminal event: the task ended as `completed`, `failed` or `cancelled`.

    Attributes:
        type_ (Literal['result']):
        timestamp (str): Time in ISO 8601, UTC.
        content (str): Short summary of the event for display.
        status (TaskStatus): Open-ended: clients must accept a status that is not listed.
        summary (str):
        result (TaskResult): Free-form object with at least a `summary` once the task has ended.
        artifacts (list[Artifact]):
        usage (TaskUsage): Tokens and cost of a task; while the task is running, those known so far.
        error (ErrorDetail | None | Unset): Why the task failed or was cancelled; null if it completed.
        warnings (list[str] | Unset): In words: fields of the request that the server does not know, parts of the task's
            data that it could not express as they were, such as numbers that JSON does not have, and changed files that are
            not among the `artifacts`, each with the reason.
    """

    type_: Literal["result"]
    timestamp: str
    content: str
    status: TaskStatus
    summary: str
    result: TaskResult
    artifacts: list[Artifact]
    usage: TaskUsage
    error: ErrorDetail | None | Unset = UNSET
    warnings: list[str] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.error_detail import ErrorDetail

        type_ = self.type_

        timestamp = self.timestamp

        content = self.content

        status = self.status.value

        summary = self.summary

        result = self.result.to_dict()

        artifacts = []
        for artifacts_item_data in self.artifacts:
            artifacts_item = artifacts_item_data.to_dict()
            artifacts.append(artifacts_item)

        usage = self.usage.to_dict()

        error: dict[str, Any] | None | Unset
        if isinstance(self.error, Unset):
            error = UNSET
        elif isinstance(self.error, ErrorDetail):
            error = self.error.to_dict()
        else:
            error = self.error

        warnings: list[str] | Unset = UNSET
        if not isinstance(self.warnings, Unset):
            warnings = self.warnings

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "timestamp": timestamp,
                "content": content,
                "status": status,
                "summary": summary,
                "result": result,
                "artifacts": artifacts,
                "usage": usage,
            }
        )
        if error is not UNSET:
            field_dict["error"] = error
        if warnings is not UNSET:
            field_dict["warnings"] = warnings

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.artifact import Artifact
        from ..models.error_detail import ErrorDetail
        from ..models.task_result import TaskResult
        from ..models.task_usage import TaskUsage

        d = dict(src_dict)
        type_ = cast(Literal["result"], d.pop("type"))
        if type_ != "result":
            raise ValueError(f"type must match const 'result', got '{type_}'")

        timestamp = d.pop("timestamp")

        content = d.pop("content")

        status = TaskStatus(d.pop("status"))

        summary = d.pop("summary")

        result = TaskResult.from_dict(d.pop("result"))

        artifacts = []
        _artifacts = d.pop("artifacts")
        for artifacts_item_data in _artifacts:
            artifacts_item = Artifact.from_dict(artifacts_item_data)

            artifacts.append(artifacts_item)

        usage = TaskUsage.from_dict(d.pop("usage"))

        def _parse_error(data: object) -> ErrorDetail | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                error_type_0 = ErrorDetail.from_dict(data)

                return error_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ErrorDetail | None | Unset, data)

        error = _parse_error(d.pop("error", UNSET))

        warnings = cast(list[str], d.pop("warnings", UNSET))

        result_event = cls(
            type_=type_,
            timestamp=timestamp,
            content=content,
            status=status,
            summary=summary,
            result=result,
            artifacts=artifacts,
            usage=usage,
            error=error,
            warnings=warnings,
        )

        result_event.additional_properties = d
        return result_event

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
