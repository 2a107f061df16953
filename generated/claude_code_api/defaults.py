# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

"""Values that the server assumes for omitted request fields and parameters."""

from collections.abc import Mapping
from typing import Any, Final

CREATE_TASK_REQUEST_ALLOW_AGENTS: Final = ()
"""Agents that the task may spawn. Defaults to `[]`: none."""

CREATE_TASK_REQUEST_ALLOW_SKILLS: Final = ()
"""Skills that the task may invoke. Defaults to `[]`: none."""

CREATE_TASK_REQUEST_TIMEOUT: Final = 300.0
"""Time limit of the task, in seconds. Defaults to `300`, or less if the API key may not use that."""

CREATE_TASK_REQUEST_MAX_COST: Final = 1.0
"""Cost limit of the task, in USD. Defaults to `1.0`, or less if the API key may not use that."""

LIST_TASKS_LIMIT: Final = 20
"""Maximum number of tasks per page. Defaults to `20`."""

GET_USAGE_PERIOD: Final = "month"
"""Reporting period, which ends now. Defaults to `month`."""

DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "CreateTaskRequest": {
        "allow_agents": CREATE_TASK_REQUEST_ALLOW_AGENTS,
        "allow_skills": CREATE_TASK_REQUEST_ALLOW_SKILLS,
        "timeout": CREATE_TASK_REQUEST_TIMEOUT,
        "max_cost": CREATE_TASK_REQUEST_MAX_COST,
    },
}
"""Request body class → attribute → default."""

PARAMETER_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "list_tasks": {
        "limit": LIST_TASKS_LIMIT,
    },
    "get_usage": {
        "period": GET_USAGE_PERIOD,
    },
}
"""Operation → parameter → default."""
