"""Rule that writes a short Markdown document about a file."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ..file_tools import READERS, ToolFailure, read
from ..markdown import document, public
from ..notices import tool_not_granted
from ..outline import Outline, outline
from ..phrases import parse_file_path
from ..tool_calls import Dialogue, OfflineTask, ToolCall
from ..tool_output import error_message

_NAME = r"""(?:"[^"]+"|'[^']+'|`[^`]+`|[^\s"'`]+)"""
_FILE = rf"(?:(?:the\s+)?(?:(?:file|module|script)\s+)?{_NAME}(?:\s+(?:file|module|script))?)"
_TARGET = r"""(?:"[^"]+\.md"|'[^']+\.md'|`[^`]+\.md`|[^\s"'`]+\.md)"""
_QUALITY = r"(?:an?|the|some|short|brief|simple|new|full|api|markdown|reference|developer|user|technical|code)"
_QUALITIES = rf"(?:{_QUALITY}\s+)*"
_DOCUMENT = (
    r"(?:documentation|docs?|document|page|readme|reference|notes?|guide|summary|description|overview|"
    r"markdown(?:\s+file)?|file)"
)
_WRITE = r"(?:write(?:\s+up)?|create|generate|produce|make|add|draft|prepare)"
_SAVED = r"(?:(?:and\s+)?(?:save|write|put|store)\s+(?:it\s+)?)?"
_TO = rf"\s*,?\s+{_SAVED}(?:in|to|into|as|at|under)\s+(?P<target>{_TARGET})"
_INTO = rf"(?:{_TO})?"
_ABOUT = r"(?:for|about|of|on|describing|documenting|from|summari[sz]ing|explaining)"
_RULES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_WRITE}\s+{_QUALITIES}{_DOCUMENT}{_INTO}\s+{_ABOUT}\s+(?P<file>{_FILE})",
        rf"{_WRITE}\s+{_QUALITIES}{_DOCUMENT}\s+{_ABOUT}\s+(?P<file>{_FILE}){_INTO}",
        rf"{_WRITE}\s+(?:{_QUALITIES}(?:file\s+)?)(?P<target>{_TARGET})\s+{_ABOUT}\s+(?P<file>{_FILE})",
        rf"document\s+(?:the\s+code\s+(?:in|of)\s+)?(?P<file>{_FILE}){_INTO}",
        rf"(?:summari[sz]e|describe|outline)\s+(?P<file>{_FILE}){_TO}",
    )
)
_NO_FILE = re.compile(
    rf"(?:{_WRITE}\s+{_QUALITIES}(?:documentation|docs?|readme|reference)(?:\s+{_ABOUT}\s+.+)?|document\s+.+)",
    re.I,
)


def match(task: OfflineTask, text: str) -> Dialogue | None:
    for rule in _RULES:
        found = rule.fullmatch(text)
        path = parse_file_path(found["file"]) if found else None
        if found and path and path != ".":
            return _document(task, path, _target(path, found["target"]))
    return _which_file(task) if _NO_FILE.fullmatch(text) else None


def _target(path: str, named: str | None) -> str:
    if named:
        return named.strip("\"'`").removeprefix("./")
    target = f"docs/{PurePosixPath(path).stem}.md"
    return target if target != path else f"docs/{PurePosixPath(path).stem}-outline.md"


def _which_file(task: OfflineTask) -> Dialogue:
    return (
        'It is not clear which file to document: name one, as in "Write documentation for src/app.py". '
        "Nothing was written."
    )
    yield  # makes this a generator


def _document(task: OfflineTask, path: str, target: str) -> Dialogue:
    if not task.first_granted(*READERS):
        return tool_not_granted(f"Documenting {path}", task, *READERS)
    if target == path:
        return f"{path} would be replaced by the document about it; name another target. Nothing was written."
    file = yield from read(task, path)
    if isinstance(file, ToolFailure):
        return f"{path} could not be read, so nothing was written: {file.message}"
    found = outline(path, file.text)
    text = document(path, file, found)
    if "Write" not in task.tools:
        return f"Write was not granted, so {target} was not written. This is what it would say:\n\n{text}"
    result = yield ToolCall(
        f"I will write the outline of {path} to {target}.",
        "Write",
        {"file_path": target, "content": text},
    )
    if result.failed:
        return f"{target} could not be written: {error_message(result)}"
    verb = "Replaced" if "updated" in result.text else "Wrote"
    return f"{verb} {target}, about {path}: {_holds(found)}."


def _holds(found: Outline) -> str:
    counted = (
        (len(public(found.functions)), "function", "functions"),
        (len(public(found.classes)), "class", "classes"),
        (len(found.headings), "heading", "headings"),
    )
    parts = [f"{number} {one if number == 1 else many}" for number, one, many in counted if number]
    return ", ".join(parts) or "no functions, classes or headings were found"
