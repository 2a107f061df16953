"""Copy of the project, in which a test changes the contract and runs ``make generate``."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

from support.code_blocks import ROOT

_GENERATED = (
    "generated/",
    "claude_code_client/_client/_sync/",
    "docs/api-reference.md",
    "ARCHITECTURE.md",
)
"""Files, or starts of their paths, that ``make generate`` writes."""
_CONTRACT = "openapi/"


class ProjectCopy:
    """Tracked files of the project without its tests, run by the Python environment of this one."""

    def __init__(self, directory: Path, source: Path = ROOT) -> None:
        """Copy the files from ``source``: the project or another copy."""
        self.directory = directory
        names = _git_files() if source == ROOT else _files(source)
        for name in names:
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target)
            # With the same times, what Python has compiled is valid for the copies too.
            if name.endswith(".py") and (compiled := Path(cache_from_source(str(source / name)))).is_file():
                (target.parent / compiled.parent.name).mkdir(exist_ok=True)
                shutil.copy2(compiled, target.parent / compiled.parent.name)

    def generate(self, *scripts: str) -> None:
        """Run ``make generate``, or only these of its scripts."""
        installed = Path(sys.prefix, ".installed")
        # The environment belongs to the project: -o keeps make from installing the copy into it.
        command = ["make", "--no-print-directory", "-o", str(installed), f"VENV={sys.prefix}", "generate"]
        if scripts:
            command.append(f"GENERATORS={' '.join(scripts)}")
        done = subprocess.run(
            command,
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": self.python_path},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def python_path(self) -> str:
        """Value of PYTHONPATH with which programs import the packages of this copy."""
        return os.pathsep.join([str(self.directory), str(self.directory / "generated")])

    def edited_by_hand(self) -> set[str]:
        """Return the files that differ from the project, without the contract and what ``make generate`` writes."""
        return {name for name in self.changed() if not name.startswith((_CONTRACT, *_GENERATED))}

    def changed(self) -> set[str]:
        """Return the files that are not in the project, not in the copy, or not the same in both."""
        names = {name for name in _git_files() if not name.startswith("tests/")}
        return (names ^ _files(self.directory)) | {
            name
            for name in names
            if (self.directory / name).is_file() and not filecmp.cmp(ROOT / name, self.directory / name, shallow=False)
        }

    def contents(self) -> dict[str, bytes]:
        """Return the content of every file."""
        return {name: (self.directory / name).read_bytes() for name in _files(self.directory)}


def _git_files() -> set[str]:
    """Return the tracked files of the project without its tests."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in listing.split("\0") if name and not name.startswith("tests/")]
    # A file that was deleted or moved is still listed until the change is staged.
    return {name for name in names if (ROOT / name).is_file()}


def _files(directory: Path) -> set[str]:
    paths = (path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix()
        for path in paths
        if not {"__pycache__", ".ruff_cache"} & {*path.relative_to(directory).parts}
    }
