"""Open directory, and operations on the names in it."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final, Self

import attrs

from .descriptor import Descriptor

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY


@attrs.frozen
class Directory:
    """Descriptor of a directory. Names are looked up in it, wherever it is moved. Methods raise OSError."""

    _descriptor: Descriptor

    @classmethod
    def open(cls, path: str) -> Self:
        """Open the directory at ``path``, following symbolic links."""
        return cls(Descriptor(path, _DIRECTORY))

    def enter(self, name: str) -> Directory | None:
        """Open the subdirectory ``name``; return None if it is a symbolic link."""
        try:
            return Directory(Descriptor(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._number))
        except OSError as error:
            # Systems report a link with different codes.
            if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK) or not self._is_link(name):
                raise
        return None

    def contains(self, name: str, subdirectory: Directory) -> bool:
        """Return whether ``name`` is still ``subdirectory``."""
        return os.path.samestat(self.stat(name), os.fstat(subdirectory._number))

    def stat(self, name: str) -> os.stat_result:
        """Return the status of ``name`` without following symbolic links."""
        return os.stat(name, dir_fd=self._number, follow_symlinks=False)

    def mkdir(self, name: str) -> None:
        os.mkdir(name, dir_fd=self._number)

    def rmdir(self, name: str) -> None:
        os.rmdir(name, dir_fd=self._number)

    def unlink(self, name: str) -> None:
        os.unlink(name, dir_fd=self._number)

    def open_file(self, name: str, flags: int, mode: int) -> Descriptor:
        """Open a file. The umask applies to the mode of a new file."""
        return Descriptor(name, flags, mode, dir_fd=self._number)

    def replace(self, name: str, target: str) -> None:
        """Rename ``name`` to ``target``, replacing what has that name."""
        os.replace(name, target, src_dir_fd=self._number, dst_dir_fd=self._number)

    def sync(self) -> None:
        """Write changes of names to the disk."""
        os.fsync(self._number)

    def close(self) -> None:
        self._descriptor.close()

    @property
    def _number(self) -> int:
        return self._descriptor.fileno()

    def _is_link(self, name: str) -> bool:
        return stat.S_ISLNK(self.stat(name).st_mode)
