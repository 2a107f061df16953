"""Reads what the tools of Claude Code return."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from claude_code_server.offline.moves import Result

_ERROR_TAGS = re.compile(r"</?tool_use_error>")
_EMPTY = frozenset({"No files found", "No matches found", "(Bash completed with no output)", ""})
_SAVED = re.compile(
    r"<persisted-output>.*?Preview \(first [^)]*\):\n(.*?)(?:\n\.\.\.)?\n?</persisted-output>", re.DOTALL
)
_GLOB_CUT = re.compile(r"\(Showing \d+ of (\d+) matching files;.*\)")
_GREP_CUT = re.compile(r"\[Showing results with pagination.*\]")
_NUMBERED = re.compile(r"\s*(\d+)(?:[\t→](.*))?")
_EMPTY_FILE = "the file exists but the contents are empty"


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of output that each stand for one thing found."""

    lines: tuple[str, ...]
    total: int
    """How many there are; more than ``lines`` where the tool said how many it left out."""
    at_least: bool = False
    """The tool stopped early, so that there may be more than ``total``."""
    complaints: tuple[str, ...] = ()
    """What commands wrote to standard error."""

    @property
    def number(self) -> str:
        return f"at least {self.total}" if self.at_least else str(self.total)


def error_text(result: Result) -> str:
    """The message of a failed call, on one line."""
    text = " ".join(_ERROR_TAGS.sub("", result.text).split())
    return text if len(text) <= 500 else f"{text[:500]}…"


def read_lines(result: Result, is_hit: Callable[[str], bool] = bool) -> Lines:
    """The lines of a result of Glob, Grep, or of a command in Bash.

    Bash mixes what commands complain of into their output, in the words of whichever ``find`` or ``grep`` it
    has: ``is_hit`` tells a line that was asked for from a complaint.
    """
    text, at_least, total = result.text.strip("\n"), False, None
    if saved := _SAVED.search(text):
        # The preview ends in the middle of a line.
        text, at_least = saved[1].rpartition("\n")[0], True
    found: list[str] = []
    complaints: list[str] = []
    for line in text.split("\n"):
        if cut := _GLOB_CUT.fullmatch(line):
            total = int(cut[1])
        elif _GREP_CUT.fullmatch(line):
            at_least = True
        elif line.strip() not in _EMPTY:
            (found if is_hit(line) else complaints).append(line)
    return Lines(tuple(found), len(found) if total is None else total, at_least, tuple(complaints))


def read_number(result: Result) -> tuple[int | None, tuple[str, ...]]:
    """The number that ``find … | wc -l`` printed, and its complaints."""
    lines = result.text.split("\n")
    numbers = [int(line) for line in lines if line.strip().isdecimal()]
    others = tuple(line for line in lines if line.strip() and not line.strip().isdecimal())
    return (numbers[-1] if numbers else None), others


@dataclass(frozen=True, slots=True)
class FileText:
    text: str
    line_count: int
    unnumbered: bool = False
    """The output held lines that are not of the file, such as a notice that the file was cut."""


def read_file(result: Result, *, tool: str = "Read") -> FileText | None:
    """The file that Read, or ``cat -n`` in Bash, printed; None for something else, such as an image."""
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
    # Read also numbers the nothing behind the last line break; cat does not.
    if tool == "Read" and lines[-1] == "":
        lines.pop()
    return FileText("\n".join(lines) + "\n", len(lines), unnumbered)
