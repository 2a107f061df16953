"""Isolation in git worktrees: each task works in a copy of the last commit, and its changes become a patch.

The agent controls what is in a worktree, so git is told where the repository is, and runs nothing that a repository
may bring: no hooks, no monitors, no settings but those of the workspace's repository. Blocking: use a thread.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import attrs
import psutil

from ..domain.entities import PATCH, ArtifactFile
from ..domain.timestamps import format_time
from ..runtime import own_processes
from ..runtime.files import remove_tree
from ..runtime.work_limit import run_in_own_thread
from .changed_files import ArtifactLimits, FoundArtifacts
from .unavailable import UnavailableError

PATCHES: Final = "patches"
"""Folder of the patches in the state directory."""
_PREFIX: Final = "claude-task-"
_RUN: Final = "run-"
_SECONDS: Final = 120.0
_OPTIONS: Final = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.untrackedCache=false", "core.sshCommand=false"),
    *("protocol.allow=never", "submodule.recurse=false", "diff.external=", "diff.ignoreSubmodules=all", "gc.auto=0"),
    *("core.quotePath=true", "diff.noprefix=false", "diff.mnemonicPrefix=false", "core.autocrlf=false"),
)
_CHUNK: Final = 1024 * 1024


class WorktreeError(Exception):
    """The task cannot work in a worktree. The message says why."""


@attrs.frozen
class Isolation:
    """Worktrees for the runs of one server."""

    workspace: Path
    git: str
    common: Path
    """Directory of the repository."""
    patches: Path

    def create(self, directory: Path, path: Path) -> Worktree:
        """Return a new worktree at ``path`` for a task that is to work in ``directory``. Raise WorktreeError."""
        base = self._git("rev-parse", "--verify", "HEAD^{commit}").strip()
        self._git("worktree", "add", "--detach", "--quiet", str(path), base)
        metadata = Path(self._git("rev-parse", "--absolute-git-dir", at=path).strip())
        working = path / directory.relative_to(self.workspace)
        if not working.is_dir():
            remove_tree(metadata)
            raise WorktreeError("The working directory is not in the last commit, which the worktree is made from.")
        index = path.with_name("index")
        shutil.copyfile(metadata / "index", index)
        return Worktree(self, path, working, metadata, base, index)

    def remove_stale(self) -> None:
        """Remove what the worktrees of killed servers have left in the repository."""
        for metadata in (self.common / "worktrees").glob(f"{_PREFIX}*"):
            with suppress(OSError):
                # In a container, every server has the same process ID.
                owner = _owner(Path((metadata / "gitdir").read_text(encoding="utf-8").strip()))
                if owner in (None, os.getpid()) or not psutil.pid_exists(owner):
                    remove_tree(metadata)

    def store(self, task_id: str, patch: bytes) -> ArtifactFile:
        """Keep a patch."""
        self.patches.mkdir(mode=0o700, exist_ok=True)
        path = self.patches / f"{task_id}.patch"
        path.write_bytes(patch)
        created = format_time(datetime.now(UTC))
        return ArtifactFile(path.name, len(patch), hashlib.sha256(patch).hexdigest(), created, PATCH)

    def _git(self, *arguments: str, at: Path | None = None) -> str:
        return _run([*self.words(), "-C", str(at or self.workspace), *arguments], {}).decode()

    def words(self) -> list[str]:
        """Return the command without arguments."""
        trusted = f"safe.directory={self.workspace}"
        return [self.git, *(word for option in (*_OPTIONS, trusted) for word in ("-c", option))]


class PatchSearch:
    """Search for the changes in a worktree, with the interface of ``ArtifactSearch``."""

    def __init__(self, worktree: Worktree, task_id: str, limits: ArtifactLimits) -> None:
        self._worktree = worktree
        self._task_id = task_id
        self._limits = limits

    async def begin(self) -> None:
        """Do nothing: git knows the present state."""

    async def finish(self, written: Iterable[str]) -> FoundArtifacts:
        """Return the patch, if there is any change."""
        return await run_in_own_thread(self._find, "patch")

    def _find(self) -> FoundArtifacts:
        patch, warnings = self._worktree.patch(self._limits.max_bytes)
        artifacts = [self._worktree.isolation.store(self._task_id, patch)] if patch else []
        return FoundArtifacts(tuple(artifacts), tuple(warnings))


@attrs.frozen
class Worktree:
    """Worktree of one run."""

    isolation: Isolation
    path: Path
    working_directory: Path
    metadata: Path
    """Directory of the worktree in the repository."""
    base: str
    """Commit from which the worktree was made."""
    index: Path
    """Copy of the index as it was at the beginning."""

    def patch(self, limit: int) -> tuple[bytes, list[str]]:
        """Return all changes since the beginning as a patch, which may be empty, and warnings."""
        objects = self.index.with_name("objects")
        objects.mkdir(exist_ok=True)
        repository = self.isolation.common
        environment = {
            # Neither the repository's objects nor the worktree's own index change.
            "GIT_INDEX_FILE": str(self.index),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(repository / "objects"),
        }
        git = [*self.isolation.words(), f"--git-dir={repository}", f"--work-tree={self.path}", "-c", "core.bare=false"]
        warnings = []
        try:
            _run([*git, "add", "--all", "--ignore-errors", "--", "."], environment, self.path)
        except WorktreeError as error:
            warnings.append(f"Some changes may be missing from the patch: {error}")
        difference = [
            *("diff", "--cached", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv"),
            *("--no-renames", "--ignore-submodules=none", self.base),
        ]
        try:
            patch = _run([*git, *difference, "--"], environment, self.path)
        except WorktreeError as error:
            return b"", [*warnings, f"There is no patch: {error}"]
        if len(patch) > limit:
            return b"", [*warnings, f"There is no patch, because it would be larger than {limit} bytes."]
        return patch, warnings

    def remove(self) -> None:
        """Remove the worktree from the repository; its files are in the run's private directory."""
        remove_tree(self.path)
        remove_tree(self.metadata)


def open_isolation(workspace: Path, state_dir: Path) -> Isolation:
    """Return the isolation of a server, whose workspace must be a git repository. Raise UnavailableError."""
    git = shutil.which("git")
    if git is None:
        raise UnavailableError("--isolate worktree needs git, which is not installed")
    isolation = Isolation(workspace.resolve(), git, Path(), state_dir.resolve() / PATCHES)
    try:
        top, common, _ = isolation._git(
            "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir", "--verify", "HEAD^{commit}"
        ).splitlines()
    except (WorktreeError, ValueError):
        raise UnavailableError(
            f"--isolate worktree needs a workspace that is a git repository with a commit: {workspace} is none"
        ) from None
    if Path(top).resolve() != isolation.workspace:
        raise UnavailableError(f"--isolate worktree needs the top of the git repository as workspace: {top}")
    isolation = attrs.evolve(isolation, common=Path(common))
    isolation.remove_stale()
    return isolation


def worktree_path(private: Path) -> Path:
    """Return a path in the private directory of a run for its worktree."""
    return private / f"{_PREFIX}{uuid.uuid4().hex[:12]}"


def _owner(path: Path) -> int | None:
    """Return the process ID of the server in whose private directory a path is."""
    owners = (part.removeprefix(_RUN).partition("-")[0] for part in path.parts if part.startswith(_RUN))
    return next((int(owner) for owner in owners if owner.isdecimal()), None)


def _run(words: Sequence[str], environment: dict[str, str], directory: Path | None = None) -> bytes:
    """Run git and return its output. Raise WorktreeError with its last line of errors."""
    clean = {
        "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        **{"HOME": "/nonexistent", "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"},
        **{"GIT_ATTR_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"},
    }
    try:
        ended = own_processes.run(words, {**clean, **environment}, directory, _SECONDS)
    except subprocess.TimeoutExpired:
        raise WorktreeError(f"git took longer than {_SECONDS:g} s.") from None
    except OSError as error:
        raise WorktreeError(f"git does not run: {error.strerror}.") from None
    if ended.returncode:
        lines = list(_lines(ended.stderr))
        raise WorktreeError(lines[-1] if lines else f"git ended with exit code {ended.returncode}.")
    return ended.stdout


def _lines(output: bytes) -> Iterator[str]:
    return (line.strip()[:300] for line in output.decode(errors="replace").splitlines() if line.strip())
