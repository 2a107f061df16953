"""Lists the files of a kind."""

import re

from claude_code_server.offline.calls import LISTERS, Failure, list_files
from claude_code_server.offline.moves import Request, Talk
from claude_code_server.offline.rules.count import scope_counted
from claude_code_server.offline.statements import needs_tool
from claude_code_server.offline.wording import Scope, after_lead, folder_named, is_file, path_named

_LEADS = re.compile(
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


def match(request: Request, text: str) -> Talk | None:
    rest = after_lead(text, _LEADS)
    scope = scope_counted(rest) if rest else None
    if scope is None and (found := _CONTENTS.fullmatch(text)):
        # "ls build" can only mean a folder; "list ideas" can mean anything.
        named = path_named if found["verb"].lower() == "ls" else folder_named
        path = named(found["where"])
        scope = Scope(path) if path is not None and not is_file(path) else None
    if scope is None and re.fullmatch(r"ls|list", text, re.IGNORECASE):
        scope = Scope()
    return _list(request, scope) if scope else None


def _list(request: Request, scope: Scope) -> Talk:
    if not request.first_granted(*LISTERS):
        return needs_tool("Listing files", request, *LISTERS)
    found = yield from list_files(request, scope, f"I will list the {scope.kind.plural} in {scope.shown}")
    if isinstance(found, Failure):
        return f"Nothing could be listed in {scope.shown}: {found.message}"
    if not found.total:
        return f"Found no {scope.kind.plural} in {scope.shown}."
    shown = "\n".join(f"- {line}" for line in found.lines[:SHOWN])
    more = found.total - min(len(found.lines), SHOWN)
    tail = f"\n… and {more} more" if more else ""
    least = "at least " if found.at_least else ""
    besides = f"\nfind also reported: {' '.join(found.complaints)}" if found.complaints else ""
    return f"Found {least}{scope.kind.files(found.total)} in {scope.shown}:\n{shown}{tail}{besides}"
