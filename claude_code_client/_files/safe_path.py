"""Whether a path that a server gave may be put below a folder. Pure: the file system is not asked."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Final

from ..errors import UnsafePathError

_ON_WINDOWS: Final = os.name == "nt"
_DRIVE: Final = re.compile(r"[A-Za-z]:")
# "Naming Files, Paths, and Namespaces" (Microsoft): the names count with any extension.
_RESERVED: Final = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³]) *(\..*)?", re.IGNORECASE)
_NOT_ON_WINDOWS: Final = re.compile(r'[<>:"|?*]|[. ]$')


def path_segments(path: str, *, windows: bool = _ON_WINDOWS) -> tuple[str, ...]:
    """The names that ``path`` leads through, the file's own last.

    Raises UnsafePathError unless every one is a plain name, whichever system's separators they are told apart by.
    """
    problem = _problem(path, windows)
    if problem is None:
        return tuple(re.split(r"[/\\]" if windows else "/", path))
    raise UnsafePathError(
        f"The artifact's path {path!r} is not one to be put below a folder: {problem}. "
        "Nothing was written; to store it, name a file yourself."
    )


def _problem(path: str, windows: bool) -> str | None:
    names = re.split(r"[/\\]", path)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in path):
        return "it has control characters, or is not Unicode"
    if not path:
        return "it is empty"
    if not names[0] or _DRIVE.match(path):
        return "it is absolute"
    if ".." in names:
        return "it leads upwards"
    if "" in names or "." in names:
        return "it has a name that is empty or a dot"
    if windows and any(_RESERVED.fullmatch(name) or _NOT_ON_WINDOWS.search(name) for name in names):
        return "Windows does not allow such a name"
    return None
