"""Rule that searches files for a text."""

from __future__ import annotations

import re
from collections.abc import Generator

import attrs

from ..file_kinds import ALL
from ..file_tools import SEARCHERS, ToolFailure, read, search
from ..notices import tool_not_granted
from ..phrases import Scope, after_verb, is_file, parse_scope, split_at_place, unquote
from ..tool_calls import Dialogue, OfflineTask, ToolCall, ToolResult
from ..tool_output import Lines

_CLEAR = re.compile(
    r"(?:search(?:\s+for)?|look\s+for|grep(?:\s+for)?|scan\s+for|locate|"
    r"(?:find|list|show(?:\s+me)?)\s+(?:all\s+|every\s+|any\s+|the\s+)*"
    r"(?:occurrences?|uses|usages?|mentions|instances|references|matches|lines?\s+(?:with|containing|matching))"
    r"(?:\s+(?:of|to|for))?|count\s+(?:the\s+|all\s+)*(?:occurrences|uses|mentions|matches)\s+of)(?=\s)",
    re.IGNORECASE,
)
_VAGUE = re.compile(
    r"(?:find|count|how\s+many|list|show(?:\s+me)?|collect|report|are\s+there)"
    r"(?:\s+(?:all|every|any|the|me|of))*(?=\s)",
    re.IGNORECASE,
)
_TURNED = re.compile(r"(?:search|scan|grep)\s+(?:through\s+)?(?P<where>.+?)\s+for\s+(?P<what>.+)", re.IGNORECASE)
_FILES_WITH = re.compile(
    r"(?:(?:find|list|show(?:\s+me)?|search\s+for|which|what)\s+)(?P<files>.*?files?)\s+"
    r"(?:that\s+|which\s+)?(?:contain(?:s|ing)?|mention(?:s|ing)?|matching|with)\s+(?P<what>.+)",
    re.IGNORECASE,
)
_WHERE_IS = re.compile(
    r"where\s+(?:is|are)\s+(?P<what>\S+)\s+(?:used|called|defined|mentioned)(?P<rest>.*)", re.IGNORECASE
)
_MARKS = re.compile(
    r"(?:(?:all|any|every|the)\s+)*(?P<mark>TODO|FIXME|XXX|HACK)'?s?"
    r"(?:\s*(?:and|or|/|,|\|)\s*(?P<other>TODO|FIXME|XXX|HACK)'?s?)?"
    r"(?:\s+(?:comments?|items?|notes?|markers?|lines?))?(?:\s+are\s+there)?",
    re.IGNORECASE,
)
_COMMAND = re.compile(
    r"""grep\s+(?:-[rRnHE]+\s+)+(?P<what>"[^"]+"|'[^']+'|[^\s"'-]\S*)(?:\s+(?P<where>\S+))?""", re.IGNORECASE
)
_REGEX = re.compile(r"(?:the\s+)?(?:regex|regexp|regular\s+expression|pattern)\s+(?P<regex>.+)", re.IGNORECASE)
_WORD = re.compile(
    r"(?:the\s+)?(?:text|string|word|phrase|term|symbol|function|class|variable|name)\s+(?P<word>.+)", re.I
)
SHOWN = 20


@attrs.frozen
class SearchText:
    """Text or regular expression to search for."""

    pattern: str
    words: tuple[str, ...] = ()
    """Alternative texts; empty for a regular expression."""

    @property
    def literal(self) -> bool:
        return len(self.words) == 1


def match(task: OfflineTask, text: str) -> Dialogue | None:
    found = _understand(text)
    return _search(task, *found) if found else None


def _understand(text: str) -> tuple[SearchText, Scope] | None:
    if found := _FILES_WITH.fullmatch(text):
        kind = parse_scope(found["files"])
        if kind and (pair := _what_where(found["what"], clear=True)):
            return pair[0], Scope(pair[1].path, kind.kind if pair[1].kind == ALL else pair[1].kind)
    if (found := _TURNED.fullmatch(text)) and (scope := parse_scope(found["where"])):
        search_text = _search_text(found["what"], clear=True, grep=text.lower().startswith("grep"))
        return (search_text, scope) if search_text else None
    if found := _COMMAND.fullmatch(text):
        search_text, scope = _search_text(found["what"], clear=True, grep=True), parse_scope(found["where"] or ".")
        return (search_text, scope) if search_text and scope else None
    if found := _WHERE_IS.fullmatch(text):
        return _what_where(found["what"] + found["rest"], clear=True)
    if rest := after_verb(text, _CLEAR):
        return _what_where(rest, clear=True, grep=text.lower().startswith("grep"))
    if rest := after_verb(text, _VAGUE):
        return _what_where(rest, clear=False)
    return None


def _what_where(phrase: str, *, clear: bool, grep: bool = False) -> tuple[SearchText, Scope] | None:
    for what, where in split_at_place(phrase):
        if (search_text := _search_text(what, clear=clear, grep=grep)) and (scope := parse_scope(where)):
            return search_text, scope
    search_text = _search_text(phrase, clear=clear, grep=grep)
    return (search_text, Scope()) if search_text else None


def _search_text(phrase: str, *, clear: bool, grep: bool = False) -> SearchText | None:
    """Parse the search text. Unless ``clear``, accept only quoted text and TODO marks: "find X" can mean anything."""
    phrase = phrase.strip()
    if marks := _MARKS.fullmatch(phrase):
        names = [name.upper() for name in (marks["mark"], marks["other"]) if name]
        return SearchText("|".join(names), tuple(names))
    if found := _REGEX.fullmatch(phrase):
        text = unquote(found["regex"])
        return SearchText(text) if text else None
    if found := _WORD.fullmatch(phrase):
        phrase, clear = found["word"].strip(), True
    text = unquote(phrase)
    if text is None or (text == phrase and (not clear or text.startswith("-"))):
        return None
    return SearchText(text, () if grep else (text,))


def _search(task: OfflineTask, search_text: SearchText, scope: Scope) -> Dialogue:
    places = scope.shown if scope.kind == ALL else f"the {scope.kind.plural} in {scope.shown}"
    found: Lines | ToolFailure
    if task.first_granted(*SEARCHERS):
        intro = f"I will search {places} for '{search_text.pattern}'"
        found = yield from search(task, search_text.pattern, scope, intro, literal=search_text.literal)
    elif "Read" in task.tools and search_text.words and scope.kind == ALL and is_file(scope.path):
        found = yield from _search_by_reading(task, search_text, scope.path)
    else:
        return tool_not_granted("Searching files", task, *SEARCHERS)
    if isinstance(found, ToolFailure):
        return f"Nothing could be searched in {places}: {found.message}"
    if not found.total:
        return f"Found no line with '{search_text.pattern}' in {places}."
    shown = "\n".join(f"- {line if len(line) <= 200 else line[:200] + '…'}" for line in found.lines[:SHOWN])
    more = found.total - min(len(found.lines), SHOWN)
    tail = f"\n… and {more} more" if more else ""
    lines = "1 line" if found.number == "1" else f"{found.number} lines"
    besides = f"\ngrep also reported: {' '.join(found.errors)}" if found.errors else ""
    return f"Found {lines} with '{search_text.pattern}' in {places}{_spread(found)}:\n{shown}{tail}{besides}"


def _search_by_reading(
    task: OfflineTask, search_text: SearchText, path: str
) -> Generator[ToolCall, ToolResult, Lines | ToolFailure]:
    file = yield from read(task, path)
    if isinstance(file, ToolFailure):
        return file
    numbered = enumerate(file.text.split("\n"), 1)
    hits = tuple(f"{n}:{line}" for n, line in numbered if any(word in line for word in search_text.words))
    return Lines(hits, len(hits), at_least=file.unnumbered)


def _spread(found: Lines) -> str:
    files = {hit[1] for line in found.lines if (hit := re.match(r"(.+?):\d+:", line))}
    return f", {len(files)} files" if len(files) > 1 else ""
