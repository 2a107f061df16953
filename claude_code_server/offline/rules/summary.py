"""Summarises a file, or gives an overview of the code in a folder."""

import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator

from claude_code_server.offline.calls import LISTERS, READERS, SEARCHERS, Failure, list_files, read, search
from claude_code_server.offline.kinds import ALL, CODE
from claude_code_server.offline.moves import Call, Request, Result, Talk
from claude_code_server.offline.outline import Item, Outline, language, outline
from claude_code_server.offline.output import FileText, Lines
from claude_code_server.offline.statements import beyond_rules, needs_tool
from claude_code_server.offline.wording import Scope, after_lead, file_named, is_file, scope_named

_LEADS = re.compile(
    r"(?:(?:give\s+(?:me\s+)?|write\s+|make\s+)?(?:an?\s+)?(?:short\s+|brief\s+|quick\s+)?"
    r"(?:summary|overview|outline|analysis|review)\s+of|"
    r"summari[sz]e|sum\s+up|analy[sz]e|describe|explain|review|inspect|check|audit|examine|outline|read|scan|"
    r"assess|evaluate|look\s+(?:at|into|through))(?=\s|$)",
    re.IGNORECASE,
)
_LEADS_FOR_FILES = re.compile(
    r"(?:(?:count|how\s+many)\s+(?:the\s+)?lines(?:\s+of\s+code)?(?:\s+are)?(?:\s+there)?\s+(?:in|of)|"
    r"what(?:\s+is|'s)\s+in|show(?:\s+me)?|print|cat|open)(?=\s)",
    re.IGNORECASE,
)
_ALONE = re.compile(r"(?:analy[sz]e|test|review|summari[sz]e|overview|inspect|audit)", re.IGNORECASE)
_WHAT_DOES = re.compile(r"what\s+(?:does|is)\s+(?P<what>.+?)(?:\s+(?:do|contain|about|for))?", re.IGNORECASE)
_FAULTS = re.compile(
    r"(?:find|detect|identify|check\s+for)\s+"
    r"(?:(?:all|any|every|the|potential|possible|likely|obvious|some)\s+)*"
    r"(?P<goal>(?:\w+\s+){0,2}?(?:bugs?|issues|problems|errors|vulnerabilities|defects|flaws|smells))"
    r"(?:\s+(?:in|of|with|from|within)\s+(?P<what>.+))?",
    re.IGNORECASE,
)
_GOAL = re.compile(
    r"(?P<what>.*?)\s*(?:\bfor|\bregarding|\bwith\s+(?:a\s+)?focus\s+on|\bin\s+terms\s+of)\s+(?P<goal>.+)",
    re.I,
)
_CODE_OF = re.compile(
    r"(?:(?:all\s+)?(?:of\s+)?the\s+)?(?:source\s+)?(?:code|contents?|file)\s+(?:in|of|from|under)\s+", re.I
)
_SHOWN = 20


def match(request: Request, text: str) -> Talk | None:
    understood = _understand(text)
    if understood is None:
        return None
    scope, is_file, goal = understood
    return _summarise(request, scope, goal) if is_file else _overview(request, scope, goal)


def _understand(text: str) -> tuple[Scope, bool, str] | None:
    """Where to look, whether that names a file, and what beyond rules was asked for."""
    if _ALONE.fullmatch(text):
        return Scope(), False, ""
    if found := _FAULTS.fullmatch(text):
        return _subject(found["what"] or "", found["goal"])
    if (rest := after_lead(text, _LEADS)) is not None:
        goal = _GOAL.fullmatch(rest)
        return _subject(goal["what"], goal["goal"]) if goal else _subject(rest, "")
    only = after_lead(text, _LEADS_FOR_FILES)
    if only is None and (found := _WHAT_DOES.fullmatch(text)):
        only = found["what"]
    path = file_named(only) if only else None
    return (Scope(path), True, "") if path and is_file(path) else None


def _subject(phrase: str, goal: str) -> tuple[Scope, bool, str] | None:
    phrase = _CODE_OF.sub("", phrase, count=1)
    if not phrase:
        return Scope(), False, goal
    path = file_named(phrase)
    if path and "*" not in path:
        return Scope(path), is_file(path), goal
    scope = scope_named(phrase)
    known = scope and (path or scope.path == "." or scope.kind != ALL)
    return (scope, False, goal) if scope and known else None


def _summarise(request: Request, scope: Scope, goal: str) -> Talk:
    path = scope.path
    if request.first_granted(*READERS):
        file = yield from read(request, path)
        if isinstance(file, Failure):
            return f"{path} could not be read: {file.message}"
        return "\n".join([*_about(path, file, outline(path, file.text)), *_beyond(goal)])
    if request.first_granted(*SEARCHERS):
        marks = yield from _marks(request, scope)
        return "\n".join([f"{path} was not read, since Read was not granted.", *marks, *_beyond(goal)])
    return needs_tool(f"Looking into {path}", request, *READERS)


def _overview(request: Request, scope: Scope, goal: str) -> Talk:
    if not request.first_granted(*LISTERS) and not request.first_granted(*SEARCHERS):
        if request.first_granted(*READERS) and scope.path != ".":
            return (yield from _summarise(request, scope, goal))
        return needs_tool("Looking through files", request, "Glob", "Grep", "Bash")
    scope = Scope(scope.path, CODE if scope.kind == ALL else scope.kind)
    lines: list[str] = []
    if request.first_granted(*LISTERS):
        say = f"I will list the {scope.kind.plural} in {scope.shown}"
        listed = yield from list_files(request, scope, say)
        if isinstance(listed, Failure):
            if "not a directory" in listed.message and request.first_granted(*READERS):
                return (yield from _summarise(request, scope, goal))
            return f"Nothing could be listed in {scope.shown}: {listed.message}"
        lines += _listing(scope, listed)
    if request.first_granted(*SEARCHERS):
        lines += yield from _marks(request, scope)
    return "\n".join([*lines, *_beyond(goal)])


def _marks(request: Request, scope: Scope) -> Generator[Call, Result, list[str]]:
    say = f"I will look for TODO and FIXME in {scope.shown}"
    found = yield from search(request, "TODO|FIXME", scope, say, literal=False)
    if isinstance(found, Failure):
        return [f"The search for TODO and FIXME failed: {found.message}"]
    if not found.total:
        return ["No line holds TODO or FIXME."]
    return [f"Lines with TODO or FIXME: {found.number}.", *_bullets(found.lines)]


def _listing(scope: Scope, found: Lines) -> Iterator[str]:
    by_language = Counter(language(line) or "other" for line in found.lines)
    parts = ", ".join(f"{number} {name}" for name, number in by_language.most_common())
    least = "at least " if found.at_least else ""
    of_listed = "" if found.total == len(found.lines) else f" of the first {len(found.lines)}"
    yield f"Found {least}{scope.kind.files(found.total)} in {scope.shown}" + (
        f" ({parts}{of_listed})." if parts else "."
    )


def _about(path: str, file: FileText, found: Outline) -> Iterator[str]:
    what = language(path)
    lines = "1 line" if file.line_count == 1 else f"{file.line_count} lines"
    yield f"{path}: {what + ', ' if what else ''}{lines}{' (not all was shown)' if file.unnumbered else ''}."
    if found.about:
        yield f"It says of itself: {found.about}"
    if found.syntax_error:
        yield f"It does not parse as Python ({found.syntax_error})."
    for title, items in (
        ("Functions", found.functions),
        ("Classes", found.classes),
        ("Headings", found.headings),
    ):
        if items:
            yield f"{title} ({len(items)}): {_names(items)}."
    if found.marks:
        yield f"Lines with TODO or FIXME: {len(found.marks)}."
        yield from _bullets(f"{number}: {text}" for number, text in found.marks)
    else:
        yield "No line holds TODO or FIXME."


def _names(items: tuple[Item, ...]) -> str:
    names = ", ".join(item.name for item in items[:_SHOWN])
    return names if len(items) <= _SHOWN else f"{names} and {len(items) - _SHOWN} more"


def _bullets(lines: Iterable[str]) -> Iterator[str]:
    every = list(lines)
    yield from (f"- {line if len(line) <= 200 else line[:200] + '…'}" for line in every[:_SHOWN])
    if len(every) > _SHOWN:
        yield f"… and {len(every) - _SHOWN} more"


def _beyond(goal: str) -> Iterator[str]:
    if goal:
        yield beyond_rules(goal)
