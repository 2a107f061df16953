"""Files that a run created or changed: two listings of its directory, compared. Blocking: for a thread."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG

from claude_code_server.engine.base import ArtifactFound

SKIPPED = frozenset({".git", ".venv", "node_modules", "__pycache__"})
"""Directories that are not looked into; a file in them counts only if a tool reported writing it."""
MAX_FILES = 50_000
"""Files looked at in a working directory. With more, only what tools reported writing is found."""
MAX_ARTIFACTS = 1_000


@dataclass(frozen=True, slots=True)
class Listing:
    files: Mapping[str, tuple[int, int]]
    """Relative path → modification time in ns, size in bytes."""
    complete: bool


def listing(root: Path, limit: int = MAX_FILES) -> Listing:
    """The regular files below ``root``. Symbolic links are neither listed nor followed."""
    files: dict[str, tuple[int, int]] = {}
    for path, seen in _walk(root):
        if len(files) == limit:
            return Listing(files, complete=False)
        files[path.relative_to(root).as_posix()] = (seen.st_mtime_ns, seen.st_size)
    return Listing(files, complete=True)


def _walk(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(set(names) - SKIPPED)
        for name in sorted(files):
            path = Path(folder, name)
            try:
                seen = path.lstat()
            except OSError:
                continue
            if S_ISREG(seen.st_mode):
                yield path, seen


def found(root: Path, before: Listing, written: Iterable[str]) -> tuple[ArtifactFound, ...]:
    """What changed below ``root`` since ``before``, and of the ``written`` paths those that lie below it."""
    after = listing(root)
    paths = {name for path in written if (name := _below(root, path)) is not None}
    if before.complete and after.complete:
        paths |= {name for name, seen in after.files.items() if before.files.get(name) != seen}
    artifacts = (_artifact(root, name) for name in sorted(paths)[:MAX_ARTIFACTS])
    return tuple(artifact for artifact in artifacts if artifact is not None)


def _below(root: Path, path: str) -> str | None:
    try:
        real = (root / path).resolve(strict=True)
        return real.relative_to(root.resolve()).as_posix() if real.is_file() else None
    except (OSError, ValueError):
        return None


def _artifact(root: Path, name: str) -> ArtifactFound | None:
    """None for a file that has gone, cannot be read, or has a name that is no text."""
    try:
        name.encode()
        with (root / name).open("rb") as file:
            seen = os.fstat(file.fileno())
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, UnicodeEncodeError):
        return None
    changed = datetime.fromtimestamp(seen.st_mtime, UTC).isoformat(timespec="milliseconds")
    return ArtifactFound(name, seen.st_size, sha256, changed.replace("+00:00", "Z"))
