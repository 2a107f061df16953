"""Walk through the files of a working directory, within a time limit and to any depth. Blocking: use a thread."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from stat import S_ISREG
from typing import Final

import attrs

from ..runtime.work_limit import WorkLimit
from .ignore_rules import BOOKKEEPING, DEPENDENCIES, IgnoreRules

MAX_FILES: Final = 50_000
"""Files in a snapshot. Changes to further files are found by their times."""
_CLOCK_SLACK_NS: Final = 50_000_000
"""Times of files may lag behind the clock by this much."""


@attrs.frozen
class FoundFile:
    """A regular file."""

    path: str
    """Relative, with forward slashes."""
    stat: os.stat_result
    rules: IgnoreRules
    """Rules that apply in its directory."""


@attrs.define
class Walk:
    """Iterator over the regular files below ``root``, outer directories first. Links are not followed.

    Skipped are directories of tools and of packages, those that ``.gitignore`` names, and those in ``skip``.
    """

    root: Path
    limit: WorkLimit
    skip: Container[str] = ()
    complete: bool = False
    """True if the walk has reached its end."""
    skipped: dict[str, int] = attrs.field(factory=dict)
    """Times of modification of the skipped directories, in nanoseconds, except those of tools."""
    unreadable: list[str] = attrs.field(factory=list)
    """Directories that could not be read, or whose paths are too long."""

    def __iter__(self) -> Iterator[FoundFile]:
        pending = deque([("", IgnoreRules())])
        while pending:
            directory, rules = pending.popleft()
            rules = rules.within(self.root, directory)
            try:
                with os.scandir(f"{self.root}/{directory}") as entries:
                    for entry in entries:
                        if self.limit.reached:
                            return
                        path = f"{directory}{entry.name}"
                        if entry.is_dir(follow_symlinks=False):
                            if self._enters(entry, path, rules):
                                pending.append((f"{path}/", rules))
                        elif (stat := _regular(entry)) is not None:
                            yield FoundFile(path, stat, rules)
            except OSError:
                self.unreadable.append(directory or ".")
        self.complete = True

    def _enters(self, entry: os.DirEntry[str], path: str, rules: IgnoreRules) -> bool:
        if entry.name in BOOKKEEPING:
            return False
        if entry.name in DEPENDENCIES or path in self.skip or rules.ignore(f"{path}/"):
            self.skipped[path] = entry.stat(follow_symlinks=False).st_mtime_ns
            return False
        return True


def _regular(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        stat = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return stat if S_ISREG(stat.st_mode) else None


@attrs.frozen
class Snapshot:
    """State of the files below a directory at one time."""

    files: Mapping[str, tuple[int, int]]
    """Time of modification in nanoseconds and size in bytes, by relative path."""
    complete: bool
    skipped: Mapping[str, int]
    """Skipped directories, with their times of modification."""
    taken_ns: int

    def has_changed(self, file: FoundFile) -> bool:
        """Return whether a file was created or changed since the snapshot."""
        known = self.files.get(file.path)
        if known is None and not self.complete:
            return file.stat.st_ctime_ns >= self.taken_ns - _CLOCK_SLACK_NS
        return known != _state(file.stat)


def empty_snapshot() -> Snapshot:
    """Return a snapshot that knows no file, so that only times tell which files have changed."""
    return Snapshot({}, complete=False, skipped={}, taken_ns=time.time_ns())


def take_snapshot(root: Path, limit: WorkLimit, max_files: int = MAX_FILES) -> Snapshot:
    """Record the files below ``root``: as many as possible, if they are too many or the time is too short."""
    taken_ns = time.time_ns()
    walk = Walk(root, limit)
    files: dict[str, tuple[int, int]] = {}
    complete = True
    for file in walk:
        if len(files) == max_files:
            complete = False
            break
        files[file.path] = _state(file.stat)
    return Snapshot(files, complete and walk.complete, walk.skipped, taken_ns)


def _state(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_mtime_ns, stat.st_size
