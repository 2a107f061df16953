"""Rule that hands a task to a subagent or loads a skill that the task names."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..notices import NOTE, tool_not_granted
from ..tool_calls import Dialogue, OfflineTask, ToolCall
from ..tool_output import error_message

_NAME = r"""["'`]?(?P<name>[\w:.-]+)["'`]?"""
_VERB = (
    r"(?:using|use|with(?:\s+the\s+help\s+of)?|via|ask|have|let|spawn|run|call|invoke|launch|through|by|"
    r"delegate\s+(?:this\s+|it\s+)?to)"
)
_NAMED = tuple(
    re.compile(rf"(?:,\s*|\s*\b){_VERB}\s+{words}\s*(?:\bto\b|\band\b|,|:)?\s*", re.IGNORECASE)
    for words in (
        rf"(?:the\s+|an?\s+|our\s+|my\s+)?{_NAME}\s+(?:sub-?)?(?P<kind>agent|skill)\b",
        rf"(?:the\s+)?(?:sub-?)?(?P<kind>agent|skill)\s+{_NAME}",
    )
)
_NOT_NAMES = frozenset({"a", "an", "the", "my", "our", "your", "this", "that", "any", "some", "to", "and", "another"})
_FRAME = "The report follows:\n"

SelectRule = Callable[[OfflineTask], Dialogue | None]


def match(task: OfflineTask, text: str, select_rule: SelectRule) -> Dialogue | None:
    """Match a task that names an agent or a skill; ``select_rule`` handles the rest of the task."""
    for pattern in _NAMED:
        found = pattern.search(text)
        in_quotes = found and text[: found.start()].count('"') % 2
        if found and not in_quotes and found["name"].lower() not in _NOT_NAMES:
            rest = f"{text[: found.start()]} {text[found.end() :]}".strip(" ,.:")
            if found["kind"].lower() == "skill":
                return _load_skill(task, found["name"], rest, select_rule)
            return _delegate(task, found["name"], rest or text)
    return None


def _delegate(task: OfflineTask, name: str, instruction: str) -> Dialogue:
    tool = task.first_granted("Agent", "Task")
    if not tool:
        return tool_not_granted(f"Asking the agent '{name}'", task, "Agent")
    result = yield ToolCall(
        f"I will hand this to the agent '{name}'.",
        tool,
        {"subagent_type": name, "description": f"Ask {name}"[:60], "prompt": instruction},
    )
    if result.failed:
        return f"The agent '{name}' could not be asked: {error_message(result)}"
    report = result.text.rpartition(_FRAME)[2].partition("\nagentId: ")[0]
    report = "\n".join(line.removeprefix("  ") for line in report.split("\n"))
    return f"The agent '{name}' reports:\n{report.replace(NOTE, '').strip()}"


def _load_skill(task: OfflineTask, name: str, instruction: str, select_rule: SelectRule) -> Dialogue:
    if "Skill" not in task.tools:
        return tool_not_granted(f"Using the skill '{name}'", task, "Skill")
    result = yield ToolCall(f"I will load the skill '{name}'.", "Skill", {"skill": name, "args": instruction})
    if result.failed:
        return f"The skill '{name}' could not be loaded: {error_message(result)}"
    loaded = (
        f"The skill '{name}' was loaded ({len(result.text)} characters), but following its instructions "
        "needs a language model."
    )
    inner = select_rule(OfflineTask(instruction, task.tools)) if instruction else None
    return f"{(yield from inner)}\n{loaded}" if inner else loaded
