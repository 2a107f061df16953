"""Files that downloads replace, and checks that a directory is unchanged."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OLD = b"what was there before"


def old_file(directory: Path, name: str = "report.bin") -> Path:
    """Write a file for a download to replace."""
    path = directory / name
    path.write_bytes(OLD)
    path.chmod(0o640)
    return path


def file_names(directory: Path) -> list[str]:
    """Return the sorted names in a directory."""
    return sorted(path.name for path in directory.iterdir())


@contextmanager
def assert_untouched(directory: Path) -> Iterator[None]:
    """Fail if a file below the directory changes: its content, identity, mode or modification time."""
    before = _snapshot(directory)
    yield
    assert _snapshot(directory) == before


def _snapshot(directory: Path) -> dict[str, object]:
    return {str(path.relative_to(directory)): _facts(path) for path in sorted(directory.rglob("*"))}


def _facts(path: Path) -> object:
    found = path.lstat()
    if path.is_symlink():
        return path.readlink()
    if stat.S_ISREG(found.st_mode):
        return found.st_ino, found.st_mode, found.st_mtime_ns, path.read_bytes()
    return found.st_ino, found.st_mode
