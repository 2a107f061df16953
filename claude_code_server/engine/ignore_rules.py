"""Rules that leave files out of the search for changed files: directories of tools, and ``.gitignore`` files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import attrs

from ..runtime.files import open_below

BOOKKEEPING: Final = frozenset(
    {".git", ".hg", ".svn", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox", ".hypothesis"}
)
"""Directories in which tools keep what is theirs; nobody misses them among the artifacts."""
DEPENDENCIES: Final = frozenset({".venv", "node_modules"})
"""Directories of installed packages."""
_FILE: Final = ".gitignore"
_MAX_BYTES: Final = 64 * 1024
_MAX_LINES: Final = 1_000
_MAX_FILES: Final = 20
"""Files with rules that apply to one directory; further ones are not read."""
_MAX_DEPTH: Final = 64
"""Depth up to which rules apply."""
_MAX_STARS: Final = 3
_MAX_DOUBLE_STARS: Final = 2
# The limits keep the time of one match within milliseconds: patterns become regular expressions, which backtrack.


@attrs.frozen
class IgnoreRules:
    """Rules of the ``.gitignore`` files in a directory and those above it, up to the working directory."""

    _specs: tuple[tuple[str, Any], ...] = ()
    """Directory and patterns, from the outermost to the innermost."""

    def within(self, root: Path, directory: str) -> IgnoreRules:
        """Return these rules with those in ``directory``, a relative path that ends with a slash or is empty."""
        lines = _read_lines(root, f"{directory}{_FILE}") if len(self._specs) < _MAX_FILES else []
        if not lines:
            return self
        from pathspec import GitIgnoreSpec  # takes a moment to import, and many workspaces have no such file

        return IgnoreRules((*self._specs, (directory, GitIgnoreSpec.from_lines(lines))))

    def ignore(self, path: str) -> bool:
        """Return whether git would ignore a file, or a directory if ``path`` ends with a slash."""
        if self._specs and path.count("/") <= _MAX_DEPTH:
            for directory, spec in reversed(self._specs):
                ignored: bool | None = spec.check_file(path[len(directory) :]).include
                if ignored is not None:
                    return ignored
        return False


def _read_lines(root: Path, path: str) -> list[str]:
    if not os.path.lexists(root / path):  # much faster than to open it, in deep directories
        return []
    try:
        with open_below(root, path) as file:
            text = file.read(_MAX_BYTES).decode(errors="replace")
    except (OSError, ValueError):
        return []
    return [line for line in text.splitlines()[:_MAX_LINES] if _is_simple(line)]


def _is_simple(pattern: str) -> bool:
    """Return whether a pattern has few enough wildcards to be matched in little time."""
    parts = pattern.strip().split("/")
    stars = sum(len(re.findall(r"\*+", part)) for part in parts if part != "**")
    return stars <= _MAX_STARS and parts.count("**") <= _MAX_DOUBLE_STARS
