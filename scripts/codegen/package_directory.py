"""Comparison and replacement of the directory that holds the generated package."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterator
from pathlib import Path

from .errors import GenerationError

_ORIGIN = "# Generated from openapi/claude-code-api.yaml"
HEADER = f"{_ORIGIN} by `make generate`. Do not edit."
"""First line of every generated Python file."""
_MAX_DIFF_LINES = 40


def differences(committed: Path, fresh: Path) -> Iterator[str]:
    """Yield lines that describe how two directories differ, and none if their files are equal."""
    old, new = _files(committed), _files(fresh)
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield f"{name}: no longer generated"
        elif name not in old:
            yield f"{name}: missing"
        elif old[name] != new[name]:
            lines = list(
                difflib.unified_diff(
                    old[name].decode(errors="replace").splitlines(),
                    new[name].decode(errors="replace").splitlines(),
                    f"{name} (current)",
                    f"{name} (generated)",
                    lineterm="",
                )
            )
            yield from lines[:_MAX_DIFF_LINES]
            if len(lines) > _MAX_DIFF_LINES:
                yield f"… {len(lines) - _MAX_DIFF_LINES} more lines"


def check_replaceable(output: Path) -> None:
    """Raise GenerationError if `output` holds anything but a generated package."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        init = output / "__init__.py"
        if not init.is_file() or not init.read_text(encoding="utf-8").startswith(_ORIGIN):
            raise GenerationError(f"{output} is not a generated package and is not replaced: choose another --output")


def replace(output: Path, fresh: Path, backup: Path) -> None:
    """Move `fresh` to `output`.

    A previous `output` is moved to `backup` until that has succeeded. All three paths must be in one file system.
    """
    if not output.exists():
        fresh.rename(output)
        return
    output.rename(backup)
    try:
        fresh.rename(output)
    except BaseException:
        backup.rename(output)
        raise
    shutil.rmtree(backup)


def _files(directory: Path) -> dict[str, bytes]:
    """Return the content of each file by relative path, without bytecode caches."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
