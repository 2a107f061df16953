"""Parser of the output of Claude Code's tools."""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs

from .tool_calls import ToolResult

_ERROR_TAGS = re.compile(r"</?tool_use_error>")
_EMPTY = frozenset({"No files found", "No matches found", "(Bash completed with no output)", ""})
_SAVED = re.compile(
    r"<persisted-output>.*?Preview \(first [^)]*\):\n(.*?)(?:\n\.\.\.)?\n?</persisted-output>", re.DOTALL
)
_GLOB_CUT = re.compile(r"\(Showing \d+ of (\d+) matching files;.*\)")
_GREP_CUT = re.compile(r"\[Showing results with pagination.*\]")
_NUMBERED = re.compile(r"\s*(\d+)(?:[\t→](.*))?")
_EMPTY_FILE = "the file exists but the contents are empty"


@attrs.frozen
class Lines:
    """Output with one match per line."""

    lines: tuple[str, ...]
    total: int
    """Number of matches; more than ``lines`` if the tool reported how many it omitted."""
    at_least: bool = False
    """True if the tool stopped early, so that there may be more than ``total``."""
    errors: tuple[str, ...] = ()
    """Lines that commands wrote to standard error."""

    @property
    def number(self) -> str:
        return f"at least {self.total}" if self.at_least else str(self.total)


def error_message(result: ToolResult) -> str:
    """Return the message of a failed tool call on one line."""
    text = " ".join(_ERROR_TAGS.sub("", result.text).split())
    return text if len(text) <= 500 else f"{text[:500]}…"


def parse_lines(result: ToolResult, is_hit: Callable[[str], bool] = bool) -> Lines:
    """Parse the output of Glob, Grep, or of a command in Bash.

    Bash mixes standard error, whose wording depends on the system, into the output: ``is_hit`` recognizes lines that
    are matches.
    """
    text, at_least, total = result.text.strip("\n"), False, None
    if saved := _SAVED.search(text):
        # The preview may end in the middle of a line.
        text, at_least = saved[1].rpartition("\n")[0], True
    found: list[str] = []
    errors: list[str] = []
    for line in text.split("\n"):
        if cut := _GLOB_CUT.fullmatch(line):
            total = int(cut[1])
        elif _GREP_CUT.fullmatch(line):
            at_least = True
        elif line.strip() not in _EMPTY:
            (found if is_hit(line) else errors).append(line)
    return Lines(tuple(found), len(found) if total is None else total, at_least, tuple(errors))


def parse_number(result: ToolResult) -> tuple[int | None, tuple[str, ...]]:
    """Return the number that ``find … | wc -l`` printed, and its lines on standard error."""
    lines = result.text.split("\n")
    numbers = [int(line) for line in lines if line.strip().isdecimal()]
    others = tuple(line for line in lines if line.strip() and not line.strip().isdecimal())
    return (numbers[-1] if numbers else None), others


@attrs.frozen
class FileText:
    """Text of a file."""

    text: str
    line_count: int
    unnumbered: bool = False
    """True if the output contained lines from outside the file, such as a notice that the file was cut."""


def parse_file(result: ToolResult, *, tool: str = "Read") -> FileText | None:
    """Parse the output of Read, or of ``cat -n`` in Bash; return None for anything else, such as an image."""
    if _EMPTY_FILE in result.text or result.text in _EMPTY:
        return FileText("", 0)
    lines: list[str] = []
    unnumbered = False
    for raw in result.text.split("\n"):
        found = _NUMBERED.fullmatch(raw)
        if found and int(found[1]) == len(lines) + 1:
            lines.append(found[2] or "")
        elif raw.strip():
            unnumbered = True
    if not lines:
        return None
    # Read numbers an empty line after the last line break; cat does not.
    if tool == "Read" and lines[-1] == "":
        lines.pop()
    return FileText("\n".join(lines) + "\n", len(lines), unnumbered)
