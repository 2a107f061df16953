"""A request for a task → the order that the engine gets. Refuses what it cannot or may not have."""

from collections.abc import Iterable
from pathlib import Path

from claude_code_api.models import CreateTaskRequest

from . import catalog
from .contract import Operation
from .engine.agents import AGENTS, SKILLS
from .engine.base import Order
from .engine.tools import DEFAULT_TOOLS, TOOLS
from .errors import ApiError, invalid
from .settings import Settings

_ROOT = Path("/project")
_TIMEOUT = 300.0
_MAX_COST = 1.0


def order_of(request: CreateTaskRequest, operation: Operation, task_id: str, settings: Settings) -> Order:
    """Raises ApiError 400 or 403, which names the field as ``operation`` calls it on the wire."""
    usable = settings.tools if settings.tools is not None else frozenset(TOOLS)
    default = [name for name in DEFAULT_TOOLS if name in usable]
    tools = request.allow_tools if isinstance(request.allow_tools, list) else default
    field = operation.field("allow_tools")
    _known(tools, TOOLS, "tool", field)
    _permitted(tools, usable, field)
    agents = request.allow_agents or []
    _known(agents, AGENTS, "agent", operation.field("allow_agents"))
    skills = request.allow_skills or []
    _known(skills, SKILLS, "skill", operation.field("allow_skills"))
    return Order(
        task_id=task_id,
        description=request.description,
        working_directory=_directory(
            settings.workspace, request.working_directory or None, operation.field("working_directory")
        ),
        model=catalog.resolve(request.model or settings.model),
        tools=tuple(dict.fromkeys(tools)),
        agents=tuple(dict.fromkeys(agents)),
        skills=tuple(dict.fromkeys(skills)),
        max_cost=float(request.max_cost or _MAX_COST),
        timeout=float(request.timeout or _TIMEOUT),
        context=request.context.to_dict() if request.context else {},
    )


def _known(names: Iterable[str], known: Iterable[str], kind: str, field: str) -> None:
    for index, name in enumerate(names):
        if name not in known:
            there = ", ".join(known)
            raise invalid(f"there is no {kind} {name[:40]!r}; there is {there}.", f"{field}[{index}]")


def _permitted(names: Iterable[str], usable: frozenset[str], field: str) -> None:
    for name in names:
        if name not in usable:
            raise ApiError(403, "permission_error", f"This key may not use the tool {name}.", param=field)


def _directory(workspace: Path, wanted: str | None, field: str) -> Path:
    root = workspace.resolve()
    path = Path(wanted or ".")
    if path.is_relative_to(_ROOT) and not path.is_relative_to(root):
        path = path.relative_to(_ROOT)
    try:
        found = (root / path).resolve()
        inside = found.is_relative_to(root)
        exists = inside and found.is_dir()
    except (OSError, ValueError, RuntimeError):
        raise invalid("is not a path.", field) from None
    if not inside:
        raise invalid("must be inside the server's workspace.", field)
    if not exists:
        raise invalid("is not a folder in the server's workspace.", field)
    return found
