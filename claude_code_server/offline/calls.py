"""The tool calls that the rules make: the preferred tool first, then what can stand in for it."""

import re
import shlex
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

from claude_code_server.offline.moves import Call, Request, Result
from claude_code_server.offline.output import FileText, Lines, error_text, read_file, read_lines
from claude_code_server.offline.wording import Scope

LISTERS = ("Glob", "Bash")
SEARCHERS = ("Grep", "Bash")
READERS = ("Read", "Bash")
_GREP_HIT = re.compile(r"(?:.+?:)?\d+:")


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that brought nothing, and what the tool said."""

    tool: str
    message: str


def find_command(scope: Scope, *, skip_git: bool = False) -> str:
    """A ``find`` for the files of ``scope``; every word from outside is quoted."""
    words = ["find", scope.path, *(["-not", "-path", "*/.git/*"] if skip_git else []), "-type", "f"]
    names = [word for pattern in scope.kind.patterns for word in ("-o", "-name", pattern)][1:]
    return shlex.join([*words, *(["(", *names, ")"] if len(names) > 2 else names)])


def list_files(request: Request, scope: Scope, say: str) -> Generator[Call, Result, Lines | Failure]:
    """The files of ``scope``, by one of ``LISTERS``, of which one must be granted."""
    tool = request.first_granted(*LISTERS) or LISTERS[0]
    if tool == "Glob":
        result = yield Call(f"{say} with Glob.", tool, _glob_input(scope))
    else:
        command = f"{find_command(scope, skip_git=True)} | sort"
        result = yield Call(f"{say} with find.", tool, {"command": command, "description": "List files"})
    found = _lines(tool, result, lambda line: line == scope.path or line.startswith(scope.path.rstrip("/") + "/"))
    if isinstance(found, Lines) and scope.path == ".":
        return replace(found, lines=tuple(line.removeprefix("./") for line in found.lines))
    return found


def search(
    request: Request, pattern: str, scope: Scope, say: str, *, literal: bool
) -> Generator[Call, Result, Lines | Failure]:
    """The lines that hold ``pattern``, by one of ``SEARCHERS``, of which one must be granted."""
    tool = request.first_granted(*SEARCHERS) or SEARCHERS[0]
    if tool == "Grep":
        regex = "".join(f"\\{c}" if c in r"\.+*?()|[]{}^$" else c for c in pattern) if literal else pattern
        arguments: dict[str, Any] = {"pattern": regex, "output_mode": "content", "-n": True}
        if scope.path != ".":
            arguments["path"] = scope.path
        if scope.kind.glob:
            arguments["glob"] = scope.kind.glob
        result = yield Call(f"{say} with Grep.", tool, arguments)
    else:
        includes = [f"--include={name}" for name in scope.kind.patterns]
        options = ["-rnI", "-F" if literal else "-E", "--exclude-dir=.git", *includes]
        command = shlex.join(["grep", *options, "-e", pattern, "--", scope.path])
        result = yield Call(f"{say} with grep.", tool, {"command": command, "description": "Search files"})
    return _lines(tool, result, lambda line: bool(_GREP_HIT.match(line)))


def read(request: Request, path: str) -> Generator[Call, Result, FileText | Failure]:
    """The text of a file, by one of ``READERS``, of which one must be granted."""
    tool = request.first_granted(*READERS) or READERS[0]
    if tool == "Read":
        result = yield Call(f"I will read {path}.", tool, {"file_path": path})
    else:
        command = shlex.join(["cat", "-n", "--", path])
        result = yield Call(f"I will read {path} with cat.", tool, {"command": command, "description": "Read a file"})
    if result.failed:
        return Failure(tool, error_text(result))
    return read_file(result, tool=tool) or Failure(tool, "it is not a text file that I can read.")


def _lines(tool: str, result: Result, is_hit: Callable[[str], bool] = bool) -> Lines | Failure:
    if result.failed:
        return Failure(tool, error_text(result))
    found = read_lines(result, is_hit if tool == "Bash" else bool)
    if found.complaints and not found.lines:
        return Failure(tool, " ".join(found.complaints))
    return found


def _glob_input(scope: Scope) -> dict[str, str]:
    pattern = f"**/{scope.kind.glob or '*'}"
    return {"pattern": pattern} if scope.path == "." else {"pattern": pattern, "path": scope.path}
