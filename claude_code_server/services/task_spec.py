"""Task specification: validation of a task request beyond its schema, and its defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from claude_code_api.defaults import CREATE_TASK_REQUEST_MAX_COST, CREATE_TASK_REQUEST_TIMEOUT
from claude_code_api.models import CreateTaskRequest

from ..contract.operations import Operation
from ..domain.engine_protocol import TaskSpec
from ..domain.errors import ApiError, invalid_request
from ..domain.model_catalog import Tariff
from ..domain.names import unknown_name
from ..domain.settings import Settings
from ..engine.agent_library import AgentLibrary
from ..engine.tools import DEFAULT_TOOLS, TOOLS
from .messages import priced_model

_PROJECT_ROOT: Final = Path("/project")
"""Name of the workspace in the paths of requests."""


def build_task_spec(
    request: CreateTaskRequest,
    operation: Operation,
    task_id: str,
    settings: Settings,
    tariff: Tariff,
    library: AgentLibrary,
) -> TaskSpec:
    """Return the specification of a task.

    Raise ApiError 400 or 403 with the name that the field has in ``operation``.
    """
    permitted = settings.tools if settings.tools is not None else frozenset(TOOLS)
    default = [name for name in DEFAULT_TOOLS if name in permitted]
    tools = request.allow_tools if isinstance(request.allow_tools, list) else default
    field = operation.wire_name("allow_tools")
    _check_known(tools, TOOLS, "tool", field)
    _check_permitted(tools, permitted, field)
    agents = request.allow_agents or []
    _check_known(agents, library.agents() if agents else (), "agent", operation.wire_name("allow_agents"))
    skills = request.allow_skills or []
    _check_known(skills, library.skills() if skills else (), "skill", operation.wire_name("allow_skills"))
    context = request.context.to_dict() if request.context else {}
    _check_result_schema(context, operation.wire_name("context"))
    return TaskSpec(
        task_id=task_id,
        description=request.description,
        working_directory=_resolve_directory(
            settings.workspace, request.working_directory or None, operation.wire_name("working_directory")
        ),
        model=priced_model(request.model or None, settings.model, tariff, operation.wire_name("model")),
        tools=tuple(dict.fromkeys(tools)),
        agents=tuple(dict.fromkeys(agents)),
        skills=tuple(dict.fromkeys(skills)),
        max_cost=float(request.max_cost or CREATE_TASK_REQUEST_MAX_COST),
        timeout=float(request.timeout or CREATE_TASK_REQUEST_TIMEOUT),
        context=context,
    )


def _check_known(names: Iterable[str], available: Iterable[str], kind: str, field: str) -> None:
    unknown = unknown_name(kind, names, available)
    if unknown is not None:
        index, message = unknown
        raise invalid_request(message, f"{field}[{index}]")


def _check_permitted(names: Iterable[str], permitted: frozenset[str], field: str) -> None:
    for name in names:
        if name not in permitted:
            raise ApiError(403, "permission_error", f"This key may not use the tool {name}.", param=field)


def _check_result_schema(context: Mapping[str, Any], field: str) -> None:
    schema = context.get("result_schema")
    if schema is None:
        return
    from ..contract.result_schema import schema_problem

    if (problem := schema_problem(schema)) is not None:
        path = f"{field}.result_schema"
        raise invalid_request(f"{problem.message}.", f"{path}.{problem.path}" if problem.path else path)


def _resolve_directory(workspace: Path, path_in_request: str | None, field: str) -> Path:
    root = workspace.resolve()
    path = Path(path_in_request or ".")
    if path.is_relative_to(_PROJECT_ROOT) and not path.is_relative_to(root):
        path = path.relative_to(_PROJECT_ROOT)
    try:
        directory = (root / path).resolve()
        inside = directory.is_relative_to(root)
        exists = inside and directory.is_dir()
    except (OSError, ValueError, RuntimeError):
        raise invalid_request("is not a path.", field) from None
    if not inside:
        raise invalid_request("must be inside the server's workspace.", field)
    if not exists:
        raise invalid_request("is not a directory in the server's workspace.", field)
    return directory
