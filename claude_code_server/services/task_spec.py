"""Task specification: validation of a task request beyond its schema, and its defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from claude_code_api.defaults import CREATE_TASK_REQUEST_MAX_COST, CREATE_TASK_REQUEST_TIMEOUT
from claude_code_api.models import CreateTaskRequest

from ..contract.operations import Operation
from ..domain.engine_protocol import TaskSpec
from ..domain.errors import invalid_request
from ..domain.model_catalog import Tariff
from ..domain.names import unknown_name
from ..domain.permissions import UNLIMITED, Permissions, permitted
from ..domain.settings import Settings
from ..engine.agent_library import AgentLibrary
from ..engine.tools import DEFAULT_TOOLS, TOOLS
from .permission_checks import check_permitted, limited, may_use_model, permitted_model

_PROJECT_ROOT: Final = Path("/project")
"""Name of the workspace in the paths of requests."""


def build_task_spec(
    request: CreateTaskRequest,
    operation: Operation,
    task_id: str,
    settings: Settings,
    tariff: Tariff,
    library: AgentLibrary,
    permissions: Permissions = UNLIMITED,
) -> TaskSpec:
    """Return the specification of a task.

    Raise ApiError 400 or 403 with the name that the field has in ``operation``.
    """
    offered = [name for name in TOOLS if settings.tools is None or name in settings.tools]
    allowed = permitted(permissions.tools, offered)
    default = [name for name in DEFAULT_TOOLS if name in allowed] if permissions.tools is None else allowed
    tools = request.allow_tools if isinstance(request.allow_tools, list) else default
    field = operation.wire_name("allow_tools")
    _check_known(tools, TOOLS, "tool", field)
    check_permitted("tool", tools, allowed, field)
    agents, field = request.allow_agents or [], operation.wire_name("allow_agents")
    if agents:
        known = tuple(library.agents())
        _check_known(agents, known, "agent", field)
        check_permitted("agent", agents, permitted(permissions.agents, known), field)
    skills, field = request.allow_skills or [], operation.wire_name("allow_skills")
    if skills:
        known = tuple(library.skills())
        _check_known(skills, known, "skill", field)
        check_permitted("skill", skills, permitted(permissions.skills, known), field)
    model = permitted_model(request.model or None, settings.model, tariff, permissions, operation.wire_name("model"))
    small_model = tariff.small_model(model)
    context = request.context.to_dict() if request.context else {}
    _check_result_schema(context, operation.wire_name("context"))
    return TaskSpec(
        task_id=task_id,
        description=request.description,
        working_directory=_resolve_directory(
            settings.workspace, request.working_directory or None, operation.wire_name("working_directory")
        ),
        model=model,
        small_model=small_model if may_use_model(permissions, tariff.catalog, small_model) else model,
        tools=tuple(dict.fromkeys(tools)),
        agents=tuple(dict.fromkeys(agents)),
        skills=tuple(dict.fromkeys(skills)),
        max_cost=limited(
            request.max_cost or None,
            CREATE_TASK_REQUEST_MAX_COST,
            permissions.max_cost,
            "a max_cost of ${:g}",
            operation.wire_name("max_cost"),
        ),
        timeout=limited(
            request.timeout or None,
            CREATE_TASK_REQUEST_TIMEOUT,
            permissions.max_timeout,
            "a timeout of {:g} s",
            operation.wire_name("timeout"),
        ),
        context=context,
    )


def _check_known(names: Iterable[str], available: Iterable[str], kind: str, field: str) -> None:
    unknown = unknown_name(kind, names, available)
    if unknown is not None:
        index, message = unknown
        raise invalid_request(message, f"{field}[{index}]")


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
