"""Check of artifact paths, which come from a server. Pure: it does not access the disk."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from ..errors import UnsafePathError

_DRIVE: Final = re.compile(r"[A-Za-z]:")
_EITHER_SEPARATOR: Final = re.compile(r"[/\\]")


def path_segments(path: str) -> tuple[str, ...]:
    """Return the directory names in ``path`` and its file name.

    Raises UnsafePathError if the path leads out of the directory that it is relative to. Paths that would do so on
    Windows are refused too: the server may run anywhere.
    """
    problem = _problem(path)
    if problem is not None:
        raise UnsafePathError(
            f"The artifact's path {path!r} is not safe to use below a directory: {problem}. "
            "Nothing was written; to store the artifact, pass the path of a file instead."
        )
    return tuple(path.split("/"))


def _problem(path: str) -> str | None:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in path):
        return "it contains control characters or lone surrogates"
    if not path:
        return "it is empty"
    names = _EITHER_SEPARATOR.split(path)
    if not names[0] or _DRIVE.match(path):
        return "it is absolute"
    if ".." in names:
        return "it leads upwards"
    if "" in names or "." in names:
        return "it contains an empty name or a dot"
    return None
