"""Tool calls that list, search and read files, with the preferred tool or else with Bash."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Generator
from typing import Any

import attrs

from .phrases import Scope
from .tool_calls import OfflineTask, ToolCall, ToolResult
from .tool_output import FileText, Lines, error_message, parse_file, parse_lines

LISTERS = ("Glob", "Bash")
SEARCHERS = ("Grep", "Bash")
READERS = ("Read", "Bash")
_GREP_HIT = re.compile(r"(?:.+?:)?\d+:")


@attrs.frozen
class ToolFailure:
    """A failed tool call."""

    tool: str
    message: str


def find_command(scope: Scope, *, skip_git: bool = False) -> str:
    """Return a ``find`` command for the files of ``scope``, with every argument quoted."""
    words = ["find", scope.path, *(["-not", "-path", "*/.git/*"] if skip_git else []), "-type", "f"]
    names = [word for pattern in scope.kind.patterns for word in ("-o", "-name", pattern)][1:]
    return shlex.join([*words, *(["(", *names, ")"] if len(names) > 2 else names)])


def list_files(task: OfflineTask, scope: Scope, intro: str) -> Generator[ToolCall, ToolResult, Lines | ToolFailure]:
    """List the files of ``scope`` with one of ``LISTERS``; the task must have at least one of them."""
    tool = task.first_granted(*LISTERS) or LISTERS[0]
    if tool == "Glob":
        result = yield ToolCall(f"{intro} with Glob.", tool, _glob_input(scope))
    else:
        command = f"{find_command(scope, skip_git=True)} | sort"
        result = yield ToolCall(f"{intro} with find.", tool, {"command": command, "description": "List files"})
    found = _lines(tool, result, lambda line: line == scope.path or line.startswith(scope.path.rstrip("/") + "/"))
    if isinstance(found, Lines) and scope.path == ".":
        return attrs.evolve(found, lines=tuple(line.removeprefix("./") for line in found.lines))
    return found


def search(
    task: OfflineTask, pattern: str, scope: Scope, intro: str, *, literal: bool
) -> Generator[ToolCall, ToolResult, Lines | ToolFailure]:
    """Find the lines that match ``pattern`` with one of ``SEARCHERS``; the task must have at least one of them."""
    tool = task.first_granted(*SEARCHERS) or SEARCHERS[0]
    if tool == "Grep":
        regex = "".join(f"\\{c}" if c in r"\.+*?()|[]{}^$" else c for c in pattern) if literal else pattern
        arguments: dict[str, Any] = {"pattern": regex, "output_mode": "content", "-n": True}
        if scope.path != ".":
            arguments["path"] = scope.path
        if scope.kind.glob:
            arguments["glob"] = scope.kind.glob
        result = yield ToolCall(f"{intro} with Grep.", tool, arguments)
    else:
        includes = [f"--include={name}" for name in scope.kind.patterns]
        options = ["-rnI", "-F" if literal else "-E", "--exclude-dir=.git", *includes]
        command = shlex.join(["grep", *options, "-e", pattern, "--", scope.path])
        result = yield ToolCall(f"{intro} with grep.", tool, {"command": command, "description": "Search files"})
    return _lines(tool, result, lambda line: bool(_GREP_HIT.match(line)))


def read(task: OfflineTask, path: str) -> Generator[ToolCall, ToolResult, FileText | ToolFailure]:
    """Read a file with one of ``READERS``; the task must have at least one of them."""
    tool = task.first_granted(*READERS) or READERS[0]
    if tool == "Read":
        result = yield ToolCall(f"I will read {path}.", tool, {"file_path": path})
    else:
        command = shlex.join(["cat", "-n", "--", path])
        result = yield ToolCall(
            f"I will read {path} with cat.", tool, {"command": command, "description": "Read a file"}
        )
    if result.failed:
        return ToolFailure(tool, error_message(result))
    return parse_file(result, tool=tool) or ToolFailure(tool, "it is not a text file that I can read.")


def _lines(tool: str, result: ToolResult, is_hit: Callable[[str], bool] = bool) -> Lines | ToolFailure:
    if result.failed:
        return ToolFailure(tool, error_message(result))
    found = parse_lines(result, is_hit if tool == "Bash" else bool)
    if found.errors and not found.lines:
        return ToolFailure(tool, " ".join(found.errors))
    return found


def _glob_input(scope: Scope) -> dict[str, str]:
    pattern = f"**/{scope.kind.glob or '*'}"
    return {"pattern": pattern} if scope.path == "." else {"pattern": pattern, "path": scope.path}
