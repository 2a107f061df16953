"""Operations on directories whose contents others control: no symbolic link is followed, and depth does not matter."""

from __future__ import annotations

import errno
import itertools
import os
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from stat import S_ISREG
from typing import Final

_MAX_PATH: Final = 2000
"""Characters after which ``remove_tree`` moves a directory up, because longer paths may be too long for the system."""


def open_below(root: Path, path: str) -> BufferedReader:
    """Open the regular file at a relative path, without following symbolic links, and return it.

    Raise OSError, also if any part of the path is a link; raise ValueError for a path that is not plain.
    """
    parts = path.split("/")
    if not all(parts) or {".", ".."} & set(parts):
        raise ValueError(f"not a plain relative path: {path!r}")
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for part in parts[:-1]:
            following = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            os.close(directory)
            directory = following
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        descriptor = os.open(parts[-1], flags, dir_fd=directory)
    finally:
        os.close(directory)
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return os.fdopen(descriptor, "rb")


def file_version(stat: os.stat_result) -> tuple[int, ...]:
    """Return numbers that change whenever the file is changed or replaced: inode, size and times in nanoseconds."""
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def remove_tree(root: Path) -> None:
    """Delete a directory with everything in it, as far as permissions allow."""
    numbers = itertools.count()
    pending = [str(root)]
    emptied: set[str] = set()
    while pending:
        directory = pending[-1]
        if directory in emptied:
            with suppress(OSError):
                os.rmdir(directory)  # noqa: PTH106
            pending.pop()
            continue
        emptied.add(directory)
        pending += _remove_files(directory, str(root), numbers)


def _remove_files(directory: str, root: str, numbers: itertools.count[int]) -> list[str]:
    """Delete the files in a directory and return its subdirectories."""
    subdirectories = []
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in list(entries):
            with suppress(OSError):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)  # noqa: PTH108
                elif len(entry.path) <= _MAX_PATH:
                    subdirectories.append(entry.path)
                else:
                    moved = f"{root}/.deep-{next(numbers)}"
                    os.rename(entry.path, moved)  # noqa: PTH104
                    subdirectories.append(moved)
    return subdirectories
