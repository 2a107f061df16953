"""Searches files for a text."""

import re
from collections.abc import Generator
from dataclasses import dataclass

from claude_code_server.offline.calls import SEARCHERS, Failure, read, search
from claude_code_server.offline.kinds import ALL
from claude_code_server.offline.moves import Call, Request, Result, Talk
from claude_code_server.offline.output import Lines
from claude_code_server.offline.statements import needs_tool
from claude_code_server.offline.wording import Scope, after_lead, is_file, scope_named, splits, unquoted

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


@dataclass(frozen=True, slots=True)
class Wanted:
    pattern: str
    words: tuple[str, ...] = ()
    """The texts of which any will do; none for a regular expression."""

    @property
    def literal(self) -> bool:
        return len(self.words) == 1


def match(request: Request, text: str) -> Talk | None:
    found = _understand(text)
    return _search(request, *found) if found else None


def _understand(text: str) -> tuple[Wanted, Scope] | None:
    if found := _FILES_WITH.fullmatch(text):
        kind = scope_named(found["files"])
        if kind and (pair := _what_where(found["what"], clear=True)):
            return pair[0], Scope(pair[1].path, kind.kind if pair[1].kind == ALL else pair[1].kind)
    if (found := _TURNED.fullmatch(text)) and (scope := scope_named(found["where"])):
        wanted = _wanted(found["what"], clear=True, grep=text.lower().startswith("grep"))
        return (wanted, scope) if wanted else None
    if found := _COMMAND.fullmatch(text):
        wanted, scope = _wanted(found["what"], clear=True, grep=True), scope_named(found["where"] or ".")
        return (wanted, scope) if wanted and scope else None
    if found := _WHERE_IS.fullmatch(text):
        return _what_where(found["what"] + found["rest"], clear=True)
    if rest := after_lead(text, _CLEAR):
        return _what_where(rest, clear=True, grep=text.lower().startswith("grep"))
    if rest := after_lead(text, _VAGUE):
        return _what_where(rest, clear=False)
    return None


def _what_where(phrase: str, *, clear: bool, grep: bool = False) -> tuple[Wanted, Scope] | None:
    for what, where in splits(phrase):
        if (wanted := _wanted(what, clear=clear, grep=grep)) and (scope := scope_named(where)):
            return wanted, scope
    wanted = _wanted(phrase, clear=clear, grep=grep)
    return (wanted, Scope()) if wanted else None


def _wanted(phrase: str, *, clear: bool, grep: bool = False) -> Wanted | None:
    """What to search for. Unless ``clear``, only quoted text and TODO marks: "find X" can mean anything."""
    phrase = phrase.strip()
    if marks := _MARKS.fullmatch(phrase):
        names = [name.upper() for name in (marks["mark"], marks["other"]) if name]
        return Wanted("|".join(names), tuple(names))
    if found := _REGEX.fullmatch(phrase):
        text = unquoted(found["regex"])
        return Wanted(text) if text else None
    if found := _WORD.fullmatch(phrase):
        phrase, clear = found["word"].strip(), True
    text = unquoted(phrase)
    if text is None or (text == phrase and (not clear or text.startswith("-"))):
        return None
    return Wanted(text, () if grep else (text,))


def _search(request: Request, wanted: Wanted, scope: Scope) -> Talk:
    places = scope.shown if scope.kind == ALL else f"the {scope.kind.plural} in {scope.shown}"
    found: Lines | Failure
    if request.first_granted(*SEARCHERS):
        say = f"I will search {places} for '{wanted.pattern}'"
        found = yield from search(request, wanted.pattern, scope, say, literal=wanted.literal)
    elif "Read" in request.tools and wanted.words and scope.kind == ALL and is_file(scope.path):
        found = yield from _search_by_reading(request, wanted, scope.path)
    else:
        return needs_tool("Searching files", request, *SEARCHERS)
    if isinstance(found, Failure):
        return f"Nothing could be searched in {places}: {found.message}"
    if not found.total:
        return f"Found no line with '{wanted.pattern}' in {places}."
    shown = "\n".join(f"- {line if len(line) <= 200 else line[:200] + '…'}" for line in found.lines[:SHOWN])
    more = found.total - min(len(found.lines), SHOWN)
    tail = f"\n… and {more} more" if more else ""
    lines = "1 line" if found.number == "1" else f"{found.number} lines"
    besides = f"\ngrep also reported: {' '.join(found.complaints)}" if found.complaints else ""
    return f"Found {lines} with '{wanted.pattern}' in {places}{_spread(found)}:\n{shown}{tail}{besides}"


def _search_by_reading(request: Request, wanted: Wanted, path: str) -> Generator[Call, Result, Lines | Failure]:
    file = yield from read(request, path)
    if isinstance(file, Failure):
        return file
    numbered = enumerate(file.text.split("\n"), 1)
    hits = tuple(f"{n}:{line}" for n, line in numbered if any(word in line for word in wanted.words))
    return Lines(hits, len(hits), at_least=file.unnumbered)


def _spread(found: Lines) -> str:
    files = {hit[1] for line in found.lines if (hit := re.match(r"(.+?):\d+:", line))}
    return f", {len(files)} files" if len(files) > 1 else ""
