"""Files that a run created or changed, found by comparing two snapshots of its directory. Blocking: use a thread."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import Final

import attrs

from ..domain.entities import ArtifactFile
from ..domain.timestamps import format_time

SKIPPED: Final = frozenset({".git", ".venv", "node_modules", "__pycache__"})
"""Directories that snapshots leave out; a file in them counts only if a tool reported writing it."""
MAX_FILES: Final = 50_000
"""Files in a snapshot. In a larger directory only the files that tools reported writing are found."""
MAX_ARTIFACTS: Final = 1_000


@attrs.frozen
class Snapshot:
    """State of the files below a directory."""

    files: Mapping[str, tuple[int, int]]
    """Modification time in nanoseconds and size in bytes, by relative path."""
    complete: bool


def take_snapshot(root: Path, limit: int = MAX_FILES) -> Snapshot:
    """Record the regular files below ``root``. Symbolic links are neither recorded nor followed."""
    files: dict[str, tuple[int, int]] = {}
    for path, stat in _walk(root):
        if len(files) == limit:
            return Snapshot(files, complete=False)
        files[path.relative_to(root).as_posix()] = (stat.st_mtime_ns, stat.st_size)
    return Snapshot(files, complete=True)


def find_changed_files(root: Path, before: Snapshot, written: Iterable[str]) -> tuple[ArtifactFile, ...]:
    """Return the files below ``root`` that changed since ``before`` or are among the ``written`` paths."""
    after = take_snapshot(root)
    paths = {name for path in written if (name := _relative_path(root, path)) is not None}
    if before.complete and after.complete:
        paths |= {name for name, state in after.files.items() if before.files.get(name) != state}
    artifacts = (_artifact(root, name) for name in sorted(paths)[:MAX_ARTIFACTS])
    return tuple(artifact for artifact in artifacts if artifact is not None)


def _walk(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for directory, names, files in os.walk(root):
        names[:] = sorted(set(names) - SKIPPED)
        for name in sorted(files):
            path = Path(directory, name)
            try:
                stat = path.lstat()
            except OSError:
                continue
            if S_ISREG(stat.st_mode):
                yield path, stat


def _relative_path(root: Path, path: str) -> str | None:
    try:
        real = (root / path).resolve(strict=True)
        return real.relative_to(root.resolve()).as_posix() if real.is_file() else None
    except (OSError, ValueError):
        return None


def _artifact(root: Path, name: str) -> ArtifactFile | None:
    """Return None for a file that is gone, is unreadable, or has a name that is not text."""
    try:
        name.encode()
        with (root / name).open("rb") as file:
            stat = os.fstat(file.fileno())
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, UnicodeEncodeError):
        return None
    return ArtifactFile(name, stat.st_size, sha256, format_time(datetime.fromtimestamp(stat.st_mtime, UTC)))
