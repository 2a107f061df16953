"""A folder, and what is done to the names in it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final, Self

import attrs

_BY_DESCRIPTOR: Final = {os.open, os.mkdir, os.rename, os.rmdir, os.stat, os.unlink} <= os.supports_dir_fd
"""Whether names can be looked up from a folder's descriptor. Where not, on Windows, each is joined to its path."""
_READ_FOLDER: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
_JUNCTION: Final = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)


@attrs.frozen
class Directory:
    """An open folder. Its methods raise OSError."""

    _path: str
    _descriptor: int | None

    @classmethod
    def open(cls, path: str) -> Self:
        """The folder at ``path``, through whatever leads there."""
        if _BY_DESCRIPTOR:
            return cls(path, os.open(path, _READ_FOLDER))
        _check_is_folder(Path(path).stat())
        return cls(path, None)

    def enter(self, name: str) -> Directory | None:
        """The folder ``name`` in this one; None if it is a link."""
        path = self._join(name)
        if self._descriptor is None:
            found = self.stat(name)
            if _is_link(found):
                return None
            _check_is_folder(found)
            return Directory(path, None)
        try:
            return Directory(path, os.open(name, _READ_FOLDER | _NO_LINK, dir_fd=self._descriptor))
        except OSError as error:
            # What a link is reported as differs by system.
            if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK) or not _is_link(self.stat(name)):
                raise
        return None

    def leads_to(self, name: str, inner: Directory) -> bool:
        """Whether ``name`` is still the folder that was entered."""
        found = self.stat(name)
        if inner._descriptor is None:
            return not _is_link(found)
        return os.path.samestat(found, os.fstat(inner._descriptor))

    def stat(self, name: str) -> os.stat_result:
        """What is known of a name; links are not followed."""
        return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)

    def mkdir(self, name: str) -> None:
        os.mkdir(self._at(name), dir_fd=self._descriptor)

    def rmdir(self, name: str) -> None:
        os.rmdir(self._at(name), dir_fd=self._descriptor)

    def unlink(self, name: str) -> None:
        os.unlink(self._at(name), dir_fd=self._descriptor)

    def open_file(self, name: str, flags: int, mode: int) -> int:
        """The descriptor of a file, under the umask if it is new."""
        return os.open(self._at(name), flags, mode, dir_fd=self._descriptor)

    def replace(self, name: str, other: str) -> None:
        """Give ``name`` the name ``other``, in place of what has it."""
        os.replace(self._at(name), self._at(other), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def sync(self) -> None:
        """Bring its names to the disk, where folders can be synced."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _at(self, name: str) -> str:
        """What to call a name by, together with the descriptor."""
        return name if self._descriptor is not None else self._join(name)

    def _join(self, name: str) -> str:
        return os.path.join(self._path, name)  # noqa: PTH118 (kept a str)


def _is_link(found: os.stat_result) -> bool:
    return stat.S_ISLNK(found.st_mode) or getattr(found, "st_reparse_tag", 0) == _JUNCTION


def _check_is_folder(found: os.stat_result) -> None:
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
