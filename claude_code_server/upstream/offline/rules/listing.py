"""Rule that lists the files of a kind."""

from __future__ import annotations

import re

from ..file_tools import LISTERS, ToolFailure, list_files
from ..notices import tool_not_granted
from ..phrases import Scope, after_verb, is_file, parse_directory, parse_path
from ..tool_calls import Dialogue, OfflineTask
from .count import parse_counted_scope

_VERBS = re.compile(
    r"(?:list(?:\s+out)?|show(?:\s+me)?|find|locate|search\s+for|look\s+for|get|print|enumerate|glob|"
    r"give\s+me|which|what|what\s+are|where\s+are)(?=\s)",
    re.IGNORECASE,
)
_CONTENTS = re.compile(
    r"(?P<verb>list|show(?:\s+me)?|print|ls|what(?:\s+is|'s)\s+in(?:side)?)\s+"
    r"(?:(?:all\s+)?(?:the\s+)?(?:contents?|files\s+and\s+folders)\s+(?:of|in)\s+)?(?P<where>.+)",
    re.IGNORECASE,
)
SHOWN = 50


def match(task: OfflineTask, text: str) -> Dialogue | None:
    rest = after_verb(text, _VERBS)
    scope = parse_counted_scope(rest) if rest else None
    if scope is None and (found := _CONTENTS.fullmatch(text)):
        # "ls build" can only mean a directory; "list ideas" can mean anything.
        named = parse_path if found["verb"].lower() == "ls" else parse_directory
        path = named(found["where"])
        scope = Scope(path) if path is not None and not is_file(path) else None
    if scope is None and re.fullmatch(r"ls|list", text, re.IGNORECASE):
        scope = Scope()
    return _list(task, scope) if scope else None


def _list(task: OfflineTask, scope: Scope) -> Dialogue:
    if not task.first_granted(*LISTERS):
        return tool_not_granted("Listing files", task, *LISTERS)
    found = yield from list_files(task, scope, f"I will list the {scope.kind.plural} in {scope.shown}")
    if isinstance(found, ToolFailure):
        return f"Nothing could be listed in {scope.shown}: {found.message}"
    if not found.total:
        return f"Found no {scope.kind.plural} in {scope.shown}."
    shown = "\n".join(f"- {line}" for line in found.lines[:SHOWN])
    more = found.total - min(len(found.lines), SHOWN)
    tail = f"\n… and {more} more" if more else ""
    least = "at least " if found.at_least else ""
    besides = f"\nfind also reported: {' '.join(found.errors)}" if found.errors else ""
    return f"Found {least}{scope.kind.files(found.total)} in {scope.shown}:\n{shown}{tail}{besides}"
