"""Tools that tasks may use: those that the bundled Claude Code offers."""

from __future__ import annotations

TOOLS: tuple[str, ...] = (
    "Bash",
    "Edit",
    "Glob",
    "Grep",
    "NotebookEdit",
    "Read",
    "TaskCreate",
    "TaskGet",
    "TaskList",
    "TaskUpdate",
    "WebFetch",
    "WebSearch",
    "Write",
)
"""Names for ``TaskSpec.tools``. Agents and skills have names of their own and are not requested through a tool."""

DEFAULT_TOOLS: tuple[str, ...] = ("Bash", "Edit", "Glob", "Grep", "Read", "Write")
"""Tools of a task that names none."""
