"""Rule that counts the files of a kind."""

from __future__ import annotations

import re

from ..file_kinds import parse_kind
from ..file_tools import find_command, list_files
from ..notices import tool_not_granted
from ..phrases import Scope, after_verb, parse_path, split_at_place
from ..tool_calls import Dialogue, OfflineTask, ToolCall
from ..tool_output import Lines, error_message, parse_number

_VERBS = re.compile(
    r"(?:count(?:\s+up)?|how\s+many|number\s+of|"
    r"(?:what(?:\s+is|'s)|tell\s+me|give\s+me|report|get|find(?:\s+out)?|determine|show(?:\s+me)?)\s+"
    r"(?:how\s+many|(?:the\s+)?(?:total\s+)?(?:number|count|total)\s+of))(?=\s)",
    re.IGNORECASE,
)
_HOW_MANY = re.compile(r"(?:how\s+many|the\s+(?:total\s+)?number\s+of)\s+", re.IGNORECASE)
_TAIL = re.compile(r"\s+(?:(?:are|is)(?:\s+there)?|there\s+are|exist|(?:do|can)\s+(?:we|i|you)\s+have)$", re.IGNORECASE)
_CONTAINED = re.compile(r"(.+?)\s+(?:does|do)\s+(.+?)\s+(?:have|contain|hold)", re.IGNORECASE)


def match(task: OfflineTask, text: str) -> Dialogue | None:
    rest = after_verb(text, _VERBS)
    scope = parse_counted_scope(rest) if rest else None
    return _count(task, scope) if scope else None


def parse_counted_scope(phrase: str) -> Scope | None:
    """Parse the files to count, such as "Python files in src" or "files are there"."""
    phrase = _TAIL.sub("", _HOW_MANY.sub("", phrase, count=1))
    if found := _CONTAINED.fullmatch(phrase):
        phrase = f"{found[1]} in {found[2]}"
    if kind := parse_kind(phrase):
        return Scope(kind=kind)
    for what, where in split_at_place(phrase):
        if (kind := parse_kind(what)) and (path := parse_path(where)) is not None:
            return Scope(path, kind)
    return None


def _count(task: OfflineTask, scope: Scope) -> Dialogue:
    tool = task.first_granted("Bash", "Glob")
    intro = f"I will count the {scope.kind.plural} in {scope.shown}"
    if tool == "Bash":
        command = f"{find_command(scope)} | wc -l"
        result = yield ToolCall(f"{intro} with find.", tool, {"command": command, "description": "Count files"})
        if result.failed:
            return f"The count failed: {error_message(result)}"
        number, errors = parse_number(result)
        reported = " ".join(errors)
        if number is None or (reported and not number):
            return f"Nothing could be counted in {scope.shown}: {reported or 'the command printed no number.'}"
        besides = f" find also reported: {reported}" if reported else ""
        return f"Found {scope.kind.files(number)} in {scope.shown}.{besides}"
    if tool == "Glob":
        found = yield from list_files(OfflineTask(task.text, frozenset({tool})), scope, intro)
        if isinstance(found, Lines):
            return f"Found {scope.kind.files(found.total)} in {scope.shown}, going by what Glob listed."
        return f"Nothing could be counted in {scope.shown}: {found.message}"
    return tool_not_granted("Counting files", task, "Bash", "Glob")
