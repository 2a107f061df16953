"""The tools that a task may be given: what the bundled Claude Code offers when asked for them by name."""

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
"""Names for ``Order.tools``. Agents and skills are asked for by their own names, not through a tool."""

DEFAULT_TOOLS: tuple[str, ...] = ("Bash", "Edit", "Glob", "Grep", "Read", "Write")
"""What suits a task that names none."""
