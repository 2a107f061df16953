"""What there is to be allowed: tools, agents and skills, with a line about each."""

import re
from collections.abc import Iterator

from .engine.agents import AGENTS, PLUGIN, SKILLS, agent
from .engine.tools import TOOLS
from .settings import Settings

_TOOLS = {
    "Bash": "Run a shell command.",
    "Edit": "Replace text in a file.",
    "Glob": "Find files by name.",
    "Grep": "Search file contents by pattern.",
    "NotebookEdit": "Edit a cell of a Jupyter notebook.",
    "Read": "Read a file.",
    "TaskCreate": "Put a step on the agent's own list of things to do.",
    "TaskGet": "Look at a step of that list.",
    "TaskList": "Look at that list.",
    "TaskUpdate": "Change a step of that list.",
    "WebFetch": "Fetch a web page.",
    "WebSearch": "Search the web.",
    "Write": "Write a file.",
}
_DESCRIPTION = re.compile(r"^description:\s*(.+)$", re.MULTILINE)

Described = Iterator[tuple[str, str]]


def tools(settings: Settings) -> Described:
    return ((name, _TOOLS.get(name, "")) for name in TOOLS if settings.tools is None or name in settings.tools)


def agents() -> Described:
    return ((name, agent(name).description) for name in AGENTS)


def skills() -> Described:
    for name in SKILLS:
        text = (PLUGIN / "skills" / name / "SKILL.md").read_text(encoding="utf-8")
        found = _DESCRIPTION.search(text)
        yield name, found[1].strip().strip("\"'") if found else ""
