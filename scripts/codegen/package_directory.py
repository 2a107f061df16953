"""Comparing and replacing folders of generated files."""

import difflib
import shutil
from collections.abc import Iterator
from pathlib import Path

from .errors import GenerationError

MARK = "# Generated from openapi/claude-code-api.yaml by `make generate`; not to be edited."
_DIFF_LINES = 40


def files(folder: Path) -> dict[str, bytes]:
    """The files of `folder` by relative path, without what Python compiled."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def differences(committed: Path, fresh: Path) -> Iterator[str]:
    """Lines that tell how two folders differ; none when they are the same."""
    old, new = files(committed), files(fresh)
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield f"{name}: would not be generated any more"
        elif name not in old:
            yield f"{name}: missing"
        elif old[name] != new[name]:
            lines = list(
                difflib.unified_diff(
                    old[name].decode(errors="replace").splitlines(),
                    new[name].decode(errors="replace").splitlines(),
                    f"{name} (as it is)",
                    f"{name} (as generated)",
                    lineterm="",
                )
            )
            yield from lines[:_DIFF_LINES]
            if len(lines) > _DIFF_LINES:
                yield f"… {len(lines) - _DIFF_LINES} more lines"


def check_replaceable(output: Path) -> None:
    """Raises GenerationError when `output` holds something that was not generated."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        init = output / "__init__.py"
        if not init.is_file() or not init.read_text(encoding="utf-8").startswith(MARK):
            raise GenerationError(f"{output} was not made by this script, so it is not replaced")


def replace(output: Path, fresh: Path, aside: Path) -> None:
    """Puts `fresh` in the place of `output`, which goes `aside` for the while; all in one filesystem."""
    if not output.exists():
        fresh.rename(output)
        return
    output.rename(aside)
    try:
        fresh.rename(output)
    except BaseException:
        aside.rename(output)
        raise
    shutil.rmtree(aside)
