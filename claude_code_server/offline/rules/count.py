"""Counts the files of a kind."""

import re

from claude_code_server.offline.calls import find_command, list_files
from claude_code_server.offline.kinds import kind_named
from claude_code_server.offline.moves import Call, Request, Talk
from claude_code_server.offline.output import Lines, error_text, read_number
from claude_code_server.offline.statements import needs_tool
from claude_code_server.offline.wording import Scope, after_lead, path_named, splits

_LEADS = re.compile(
    r"(?:count(?:\s+up)?|how\s+many|number\s+of|"
    r"(?:what(?:\s+is|'s)|tell\s+me|give\s+me|report|get|find(?:\s+out)?|determine|show(?:\s+me)?)\s+"
    r"(?:how\s+many|(?:the\s+)?(?:total\s+)?(?:number|count|total)\s+of))(?=\s)",
    re.IGNORECASE,
)
_HOW_MANY = re.compile(r"(?:how\s+many|the\s+(?:total\s+)?number\s+of)\s+", re.IGNORECASE)
_TAIL = re.compile(r"\s+(?:(?:are|is)(?:\s+there)?|there\s+are|exist|(?:do|can)\s+(?:we|i|you)\s+have)$", re.IGNORECASE)
_CONTAINED = re.compile(r"(.+?)\s+(?:does|do)\s+(.+?)\s+(?:have|contain|hold)", re.IGNORECASE)


def match(request: Request, text: str) -> Talk | None:
    rest = after_lead(text, _LEADS)
    scope = scope_counted(rest) if rest else None
    return _count(request, scope) if scope else None


def scope_counted(phrase: str) -> Scope | None:
    """What is to be counted, as in "Python files in src" or "files are there"."""
    phrase = _TAIL.sub("", _HOW_MANY.sub("", phrase, count=1))
    if found := _CONTAINED.fullmatch(phrase):
        phrase = f"{found[1]} in {found[2]}"
    if kind := kind_named(phrase):
        return Scope(kind=kind)
    for what, where in splits(phrase):
        if (kind := kind_named(what)) and (path := path_named(where)) is not None:
            return Scope(path, kind)
    return None


def _count(request: Request, scope: Scope) -> Talk:
    tool = request.first_granted("Bash", "Glob")
    say = f"I will count the {scope.kind.plural} in {scope.shown}"
    if tool == "Bash":
        command = f"{find_command(scope)} | wc -l"
        result = yield Call(f"{say} with find.", tool, {"command": command, "description": "Count files"})
        if result.failed:
            return f"The count failed: {error_text(result)}"
        number, complaints = read_number(result)
        said = " ".join(complaints)
        if number is None or (said and not number):
            return f"Nothing could be counted in {scope.shown}: {said or 'the command printed no number.'}"
        besides = f" find also reported: {said}" if said else ""
        return f"Found {scope.kind.files(number)} in {scope.shown}.{besides}"
    if tool == "Glob":
        found = yield from list_files(Request(request.text, frozenset({tool})), scope, say)
        if isinstance(found, Lines):
            return f"Found {scope.kind.files(found.total)} in {scope.shown}, going by what Glob listed."
        return f"Nothing could be counted in {scope.shown}: {found.message}"
    return needs_tool("Counting files", request, "Bash", "Glob")
