"""Hands a task to a subagent, or loads a skill, where the task asks for it by name."""

import re
from collections.abc import Callable

from claude_code_server.offline.moves import Call, Request, Talk
from claude_code_server.offline.output import error_text
from claude_code_server.offline.statements import NOTE, needs_tool

_NAME = r"""["'`]?(?P<name>[\w:.-]+)["'`]?"""
_VERB = (
    r"(?:using|use|with(?:\s+the\s+help\s+of)?|via|ask|have|let|spawn|run|call|invoke|launch|through|by|"
    r"delegate\s+(?:this\s+|it\s+)?to)"
)
_ASKED = tuple(
    re.compile(rf"(?:,\s*|\s*\b){_VERB}\s+{words}\s*(?:\bto\b|\band\b|,|:)?\s*", re.IGNORECASE)
    for words in (
        rf"(?:the\s+|an?\s+|our\s+|my\s+)?{_NAME}\s+(?:sub-?)?(?P<what>agent|skill)\b",
        rf"(?:the\s+)?(?:sub-?)?(?P<what>agent|skill)\s+{_NAME}",
    )
)
_NOT_NAMES = frozenset({"a", "an", "the", "my", "our", "your", "this", "that", "any", "some", "to", "and", "another"})
_FRAME = "The report follows:\n"

Plan = Callable[[Request], Talk | None]


def match(request: Request, text: str, plan: Plan) -> Talk | None:
    """``plan`` finds the rule for what is asked for besides the skill."""
    for pattern in _ASKED:
        found = pattern.search(text)
        in_quotes = found and text[: found.start()].count('"') % 2
        if found and not in_quotes and found["name"].lower() not in _NOT_NAMES:
            rest = f"{text[: found.start()]} {text[found.end() :]}".strip(" ,.:")
            if found["what"].lower() == "skill":
                return _load(request, found["name"], rest, plan)
            return _hand_over(request, found["name"], rest or text)
    return None


def _hand_over(request: Request, name: str, task: str) -> Talk:
    tool = request.first_granted("Agent", "Task")
    if not tool:
        return needs_tool(f"Asking the agent '{name}'", request, "Agent")
    result = yield Call(
        f"I will hand this to the agent '{name}'.",
        tool,
        {"subagent_type": name, "description": f"Ask {name}"[:60], "prompt": task},
    )
    if result.failed:
        return f"The agent '{name}' could not be asked: {error_text(result)}"
    report = result.text.rpartition(_FRAME)[2].partition("\nagentId: ")[0]
    report = "\n".join(line.removeprefix("  ") for line in report.split("\n"))
    return f"The agent '{name}' reports:\n{report.replace(NOTE, '').strip()}"


def _load(request: Request, name: str, task: str, plan: Plan) -> Talk:
    if "Skill" not in request.tools:
        return needs_tool(f"Using the skill '{name}'", request, "Skill")
    result = yield Call(f"I will load the skill '{name}'.", "Skill", {"skill": name, "args": task})
    if result.failed:
        return f"The skill '{name}' could not be loaded: {error_text(result)}"
    loaded = (
        f"The skill '{name}' was loaded ({len(result.text)} characters), but following its instructions "
        "needs a language model."
    )
    inner = plan(Request(task, request.tools)) if task else None
    return f"{(yield from inner)}\n{loaded}" if inner else loaded
