"""Texts of the offline model about its own limits."""

from __future__ import annotations

from .tool_calls import OfflineTask

NOTE = "(Offline model: rule-based, not a language model.)"
_REAL = "For a real model set ANTHROPIC_API_KEY, or start the server with --upstream and the URL of one."
ABOUT = (
    "This is the offline model of the embedded server: it follows rules, is not a language model, and cannot "
    f"answer questions. {_REAL}"
)
_ABLE = (
    "It can count files of a kind, list them, search for a text, summarise a file or look for TODOs, and "
    "write a short Markdown document about a file; put names with spaces in quotes."
)


def no_matching_rule(task: OfflineTask) -> str:
    """Return the response to a task that no rule matches."""
    shown = task.text if len(task.text) <= 200 else f"{task.text[:200]}…"
    return f'The offline model (rule-based, not a language model) has no rule for "{shown}". {_ABLE} {_REAL}'


def tool_not_granted(purpose: str, task: OfflineTask, *names: str) -> str:
    """Return the response to a task whose tools were not granted. ``purpose`` opens the sentence."""
    granted = ", ".join(sorted(task.tools)) or "none"
    wanted = f"the {names[0]} tool" if len(names) == 1 else f"one of the tools {', '.join(names)}"
    return f"{purpose} needs {wanted}; granted: {granted}. Nothing was done."


def needs_language_model(goal: str) -> str:
    """Return a remark about a judgement that rules cannot give."""
    return f'Judging "{goal}" needs a language model: this only reports what the tools returned. {_REAL}'
