"""Files that child processes do not inherit: the lock on a file lasts as long as any process has it open."""

from __future__ import annotations

import os
from typing import IO, Any, Final
from weakref import WeakSet

_files: Final[WeakSet[Any]] = WeakSet()


def close_in_children(file: IO[bytes]) -> None:
    """Close a file in processes that are forked from this one, such as those of a process pool."""
    _files.add(file)


def _close_all() -> None:
    for file in list(_files):
        file.close()
    _files.clear()


os.register_at_fork(after_in_child=_close_all)
