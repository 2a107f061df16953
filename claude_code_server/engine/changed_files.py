"""Files that a run created or changed: found, checked and hashed, within limits. Blocking: use a thread."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from ..domain.entities import ArtifactFile
from ..domain.timestamps import format_time
from ..runtime.files import file_version, open_below
from ..runtime.work_limit import WorkLimit
from .workspace_walk import FoundFile, Snapshot, Walk

_CHUNK_BYTES: Final = 1024 * 1024
_SETTLED_NS: Final = 20_000_000
"""Age of a file's times from which every later change is sure to change them."""
_NAMES_IN_WARNING: Final = 5
_MAX_NAME: Final = 200

_IGNORED: Final = "they are ignored (.gitignore, or folders of installed packages)"
_LARGE: Final = "hashing them would take too long"
_LINKED: Final = "they are hard links to files outside the working directory"
_UNREADABLE: Final = "they could not be read"
_UNSTABLE: Final = "they were being changed"
_NOT_TEXT: Final = "their names are not valid text"


@attrs.frozen(kw_only=True)
class ArtifactLimits:
    """Limits on the artifacts of one task. Warnings name files beyond them."""

    max_files: int = 1_000
    max_bytes: int = 4_000_000_000
    """Size of all files together."""


@attrs.frozen
class FoundArtifacts:
    """Artifacts of a run, and warnings about files that are not among them."""

    artifacts: tuple[ArtifactFile, ...] = ()
    warnings: tuple[str, ...] = ()


def find_changed_files(
    root: Path, before: Snapshot, written: Iterable[str], limit: WorkLimit, limits: ArtifactLimits
) -> FoundArtifacts:
    """Return the files below ``root`` that changed since ``before``, or that file tools report as ``written``."""
    search = _Search(root, before, limit, limits, limits.max_bytes)
    return search.run({name for path in written if (name := _relative_path(root, path)) is not None})


class _UnlistedError(Exception):
    """A file cannot be listed as an artifact."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@attrs.define
class _Search:
    """Search for the artifacts of one run."""

    root: Path
    before: Snapshot
    limit: WorkLimit
    limits: ArtifactLimits
    bytes_left: int
    left_out: dict[str, list[str]] = attrs.field(factory=dict)
    """Paths of files that are not listed, by reason."""
    links_inside: Counter[tuple[int, int]] = attrs.field(factory=Counter)
    """Number of names that a file with several names has in the walked directories, by device and inode."""

    def run(self, written: set[str]) -> FoundArtifacts:
        walk = Walk(self.root, self.limit, self.before.skipped)
        changed = [file for file in self._changed(walk) if file.path not in written]
        changed.sort(key=lambda file: (file.stat.st_size, file.path))
        # Written files first, then small ones, so that a large file takes the limits away from no other.
        candidates = [*sorted(written), *(file.path for file in changed)]
        for path in candidates[self.limits.max_files :]:
            self._leave_out(f"there are more than {self.limits.max_files} changed files", path)
        artifacts = [
            artifact for path in candidates[: self.limits.max_files] if (artifact := self._artifact(path)) is not None
        ]
        for path, modified in walk.skipped.items():
            if self.before.skipped.get(path) != modified:
                self._leave_out(_IGNORED, f"{path}/")
        for path in walk.unreadable:
            self._leave_out(_UNREADABLE, path)
        return FoundArtifacts(tuple(sorted(artifacts, key=lambda one: one.path)), tuple(self._warnings(walk.complete)))

    def _changed(self, walk: Walk) -> Iterator[FoundFile]:
        for file in walk:
            if file.stat.st_nlink > 1:
                self.links_inside[file.stat.st_dev, file.stat.st_ino] += 1
            if not self.before.has_changed(file):
                continue
            if file.rules.ignore(file.path):
                self._leave_out(_IGNORED, file.path)
            else:
                yield file

    def _artifact(self, path: str) -> ArtifactFile | None:
        """Return None for a file that is gone or left out."""
        try:
            path.encode()
            with open_below(self.root, path) as file:
                return self._hashed(path, file)
        except FileNotFoundError:
            return None
        except _UnlistedError as error:
            self._leave_out(error.reason, path)
        except UnicodeEncodeError:
            self._leave_out(_NOT_TEXT, path)
        except (OSError, ValueError):
            self._leave_out(_UNREADABLE, path)
        return None

    def _hashed(self, path: str, file: BinaryIO) -> ArtifactFile:
        stat = os.fstat(file.fileno())
        if stat.st_nlink > max(1, self.links_inside[stat.st_dev, stat.st_ino]):
            raise _UnlistedError(_LINKED)
        if stat.st_size > self.bytes_left:
            raise _UnlistedError(f"the artifacts of a task may have {self.limits.max_bytes / 1e6:g} MB together")
        digest, left = hashlib.sha256(), stat.st_size
        while left > 0 and not self.limit.reached and (chunk := file.read(min(left, _CHUNK_BYTES))):
            digest.update(chunk)
            left -= len(chunk)
            self.bytes_left -= len(chunk)
        if left > 0 and self.limit.reached:
            raise _UnlistedError(_LARGE)
        version = file_version(stat)
        if version != file_version(os.fstat(file.fileno())):
            raise _UnlistedError(_UNSTABLE)
        settled = time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _SETTLED_NS
        created_at = format_time(datetime.fromtimestamp(stat.st_mtime, UTC))
        return ArtifactFile(path, stat.st_size, digest.hexdigest(), created_at, version=version if settled else None)

    def _leave_out(self, reason: str, path: str) -> None:
        self.left_out.setdefault(reason, []).append(path)

    def _warnings(self, complete: bool) -> Iterator[str]:
        for reason, paths in self.left_out.items():
            shown = ", ".join(_shorten(path) for path in sorted(paths)[:_NAMES_IN_WARNING])
            more = f" and {len(paths) - _NAMES_IN_WARNING} more" if len(paths) > _NAMES_IN_WARNING else ""
            yield f"Not listed as artifacts, because {reason}: {shown}{more}."
        if not complete:
            yield "The search for changed files was ended before it had seen all files; some artifacts may be missing."


def _shorten(path: str) -> str:
    text = path.encode(errors="replace").decode()
    return text if len(text) <= _MAX_NAME else f"{text[:_MAX_NAME]}…"


def _relative_path(root: Path, path: str) -> str | None:
    try:
        real = (root / path).resolve(strict=True)
        return real.relative_to(root.resolve()).as_posix() if real.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None
