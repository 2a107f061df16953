"""Rule that summarizes a file or gives an overview of the code in a directory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator

from ..file_kinds import ALL, CODE
from ..file_tools import LISTERS, READERS, SEARCHERS, ToolFailure, list_files, read, search
from ..notices import needs_language_model, tool_not_granted
from ..outline import Item, Outline, language, outline
from ..phrases import Scope, after_verb, is_file, parse_file_path, parse_scope
from ..tool_calls import Dialogue, OfflineTask, ToolCall, ToolResult
from ..tool_output import FileText, Lines

_VERBS = re.compile(
    r"(?:(?:give\s+(?:me\s+)?|write\s+|make\s+)?(?:an?\s+)?(?:short\s+|brief\s+|quick\s+)?"
    r"(?:summary|overview|outline|analysis|review)\s+of|"
    r"summari[sz]e|sum\s+up|analy[sz]e|describe|explain|review|inspect|check|audit|examine|outline|read|scan|"
    r"assess|evaluate|look\s+(?:at|into|through))(?=\s|$)",
    re.IGNORECASE,
)
_FILE_VERBS = re.compile(
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


def match(task: OfflineTask, text: str) -> Dialogue | None:
    understood = _understand(text)
    if understood is None:
        return None
    scope, is_file, goal = understood
    return _summarize(task, scope, goal) if is_file else _overview(task, scope, goal)


def _understand(text: str) -> tuple[Scope, bool, str] | None:
    """Parse the scope, whether it is a file, and a goal that rules cannot meet."""
    if _ALONE.fullmatch(text):
        return Scope(), False, ""
    if found := _FAULTS.fullmatch(text):
        return _subject(found["what"] or "", found["goal"])
    if (rest := after_verb(text, _VERBS)) is not None:
        goal = _GOAL.fullmatch(rest)
        return _subject(goal["what"], goal["goal"]) if goal else _subject(rest, "")
    only = after_verb(text, _FILE_VERBS)
    if only is None and (found := _WHAT_DOES.fullmatch(text)):
        only = found["what"]
    path = parse_file_path(only) if only else None
    return (Scope(path), True, "") if path and is_file(path) else None


def _subject(phrase: str, goal: str) -> tuple[Scope, bool, str] | None:
    phrase = _CODE_OF.sub("", phrase, count=1)
    if not phrase:
        return Scope(), False, goal
    path = parse_file_path(phrase)
    if path and "*" not in path:
        return Scope(path), is_file(path), goal
    scope = parse_scope(phrase)
    known = scope and (path or scope.path == "." or scope.kind != ALL)
    return (scope, False, goal) if scope and known else None


def _summarize(task: OfflineTask, scope: Scope, goal: str) -> Dialogue:
    path = scope.path
    if task.first_granted(*READERS):
        file = yield from read(task, path)
        if isinstance(file, ToolFailure):
            return f"{path} could not be read: {file.message}"
        return "\n".join([*_about(path, file, outline(path, file.text)), *_beyond(goal)])
    if task.first_granted(*SEARCHERS):
        marks = yield from _marks(task, scope)
        return "\n".join([f"{path} was not read, since Read was not granted.", *marks, *_beyond(goal)])
    return tool_not_granted(f"Looking into {path}", task, *READERS)


def _overview(task: OfflineTask, scope: Scope, goal: str) -> Dialogue:
    if not task.first_granted(*LISTERS) and not task.first_granted(*SEARCHERS):
        if task.first_granted(*READERS) and scope.path != ".":
            return (yield from _summarize(task, scope, goal))
        return tool_not_granted("Looking through files", task, "Glob", "Grep", "Bash")
    scope = Scope(scope.path, CODE if scope.kind == ALL else scope.kind)
    lines: list[str] = []
    if task.first_granted(*LISTERS):
        intro = f"I will list the {scope.kind.plural} in {scope.shown}"
        listed = yield from list_files(task, scope, intro)
        if isinstance(listed, ToolFailure):
            if "not a directory" in listed.message and task.first_granted(*READERS):
                return (yield from _summarize(task, scope, goal))
            return f"Nothing could be listed in {scope.shown}: {listed.message}"
        lines += _listing(scope, listed)
    if task.first_granted(*SEARCHERS):
        lines += yield from _marks(task, scope)
    return "\n".join([*lines, *_beyond(goal)])


def _marks(task: OfflineTask, scope: Scope) -> Generator[ToolCall, ToolResult, list[str]]:
    intro = f"I will look for TODO and FIXME in {scope.shown}"
    found = yield from search(task, "TODO|FIXME", scope, intro, literal=False)
    if isinstance(found, ToolFailure):
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
        yield needs_language_model(goal)
