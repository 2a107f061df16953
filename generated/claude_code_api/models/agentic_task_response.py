# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.task_status import TaskStatus
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.artifact import Artifact
    from ..models.error_detail import ErrorDetail
    from ..models.log_entry import LogEntry
    from ..models.task_result import TaskResult
    from ..models.task_usage import TaskUsage


T = TypeVar("T", bound="AgenticTaskResponse")


@_attrs_define
class AgenticTaskResponse:
    """State of a task.

    Attributes:
        id (str):
        status (TaskStatus): Open-ended: clients must accept a status that is not listed.
        result (TaskResult): Free-form object with at least a `summary` once the task has ended.
        execution_log (list[LogEntry]): Steps of the task, oldest first. In a list of tasks, the log may end early.
        artifacts (list[Artifact]):
        usage (TaskUsage): Tokens and cost of a task; while the task is running, those known so far.
        created_at (str): Time in ISO 8601, UTC.
        description (str | Unset):
        execution_log_truncated (bool | Unset): True, in a list of tasks, if `execution_log` leaves out further steps;
            `get_task` returns all of them. Otherwise absent.
        error (ErrorDetail | None | Unset):
        completed_at (None | str | Unset): Time in ISO 8601, UTC; null until the task ends.
        warnings (list[str] | Unset): In words: fields of the request that the server does not know, parts of the task's
            data that it could not express as they were, such as numbers that JSON does not have, and changed files that are
            not among the `artifacts`, each with the reason.
    """

    id: str
    status: TaskStatus
    result: TaskResult
    execution_log: list[LogEntry]
    artifacts: list[Artifact]
    usage: TaskUsage
    created_at: str
    description: str | Unset = UNSET
    execution_log_truncated: bool | Unset = UNSET
    error: ErrorDetail | None | Unset = UNSET
    completed_at: None | str | Unset = UNSET
    warnings: list[str] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.error_detail import ErrorDetail

        id = self.id

        status = self.status.value

        result = self.result.to_dict()

        execution_log = []
        for execution_log_item_data in self.execution_log:
            execution_log_item = execution_log_item_data.to_dict()
            execution_log.append(execution_log_item)

        artifacts = []
        for artifacts_item_data in self.artifacts:
            artifacts_item = artifacts_item_data.to_dict()
            artifacts.append(artifacts_item)

        usage = self.usage.to_dict()

        created_at = self.created_at

        description = self.description

        execution_log_truncated = self.execution_log_truncated

        error: dict[str, Any] | None | Unset
        if isinstance(self.error, Unset):
            error = UNSET
        elif isinstance(self.error, ErrorDetail):
            error = self.error.to_dict()
        else:
            error = self.error

        completed_at: None | str | Unset
        if isinstance(self.completed_at, Unset):
            completed_at = UNSET
        else:
            completed_at = self.completed_at

        warnings: list[str] | Unset = UNSET
        if not isinstance(self.warnings, Unset):
            warnings = self.warnings

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "status": status,
                "result": result,
                "execution_log": execution_log,
                "artifacts": artifacts,
                "usage": usage,
                "created_at": created_at,
            }
        )
        if description is not UNSET:
            field_dict["description"] = description
        if execution_log_truncated is not UNSET:
            field_dict["execution_log_truncated"] = execution_log_truncated
        if error is not UNSET:
            field_dict["error"] = error
        if completed_at is not UNSET:
            field_dict["completed_at"] = completed_at
        if warnings is not UNSET:
            field_dict["warnings"] = warnings

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.artifact import Artifact
        from ..models.error_detail import ErrorDetail
        from ..models.log_entry import LogEntry
        from ..models.task_result import TaskResult
        from ..models.task_usage import TaskUsage

        d = dict(src_dict)
        id = d.pop("id")

        status = TaskStatus(d.pop("status"))

        result = TaskResult.from_dict(d.pop("result"))

        execution_log = []
        _execution_log = d.pop("execution_log")
        for execution_log_item_data in _execution_log:
            execution_log_item = LogEntry.from_dict(execution_log_item_data)

            execution_log.append(execution_log_item)

        artifacts = []
        _artifacts = d.pop("artifacts")
        for artifacts_item_data in _artifacts:
            artifacts_item = Artifact.from_dict(artifacts_item_data)

            artifacts.append(artifacts_item)

        usage = TaskUsage.from_dict(d.pop("usage"))

        created_at = d.pop("created_at")

        description = d.pop("description", UNSET)

        execution_log_truncated = d.pop("execution_log_truncated", UNSET)

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

        def _parse_completed_at(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        completed_at = _parse_completed_at(d.pop("completed_at", UNSET))

        warnings = cast(list[str], d.pop("warnings", UNSET))

        agentic_task_response = cls(
            id=id,
            status=status,
            result=result,
            execution_log=execution_log,
            artifacts=artifacts,
            usage=usage,
            created_at=created_at,
            description=description,
            execution_log_truncated=execution_log_truncated,
            error=error,
            completed_at=completed_at,
            warnings=warnings,
        )

        agentic_task_response.additional_properties = d
        return agentic_task_response

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
