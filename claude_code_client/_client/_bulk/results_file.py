"""Results file of a batch: each result is on the disk before the caller gets it, and an unfinished batch goes on.

One line a result, appended in the order in which items finish, by one process at a time. A line that a crash has torn
is cut off when the file is opened. The batch's ID, from which idempotency keys are derived, is in every line; before
there is one, it is in a file beside it, so that a process that dies before its first result has not lost the keys of
what it had sent.

In memory is the position of each line that was there at the start: 8 bytes an item.
"""

from __future__ import annotations

import fcntl
import os
import re
import uuid
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from ..._files.record_file import check_kind, sync_folder
from ...errors import ConfigurationError
from .inheritance import close_in_children
from .items import Item
from .result_lines import decode, read_head
from .results import BatchResult

_OWNER_ONLY: Final = 0o600
_ABSENT: Final = -1
_CHUNK: Final = 1 << 14
_MOST: Final = 1 << 30
"""Items."""
_ID: Final = re.compile(r"[0-9a-f]{32}")


class ResultsFile:
    """Open results file, locked against other processes."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open or create the file, and mend it. Raises ConfigurationError if it cannot be used."""
        self.path: Final = Path(path).absolute()
        self._id_path: Final = self.path.with_name(f"{self.path.name}.batch")
        self._has_id_path = True
        """True if the file with the batch's ID may be there."""
        self._offsets = array("q")
        self.cost = 0.0
        """USD that the items in the file have cost."""
        self.batch_id = ""
        with self._file_errors():
            self._file: Final = open(self.path, "a+b", buffering=0, opener=_private)  # noqa: SIM115 (open until close())
        close_in_children(self._file)
        try:
            with self._file_errors():
                check_kind(self._file.fileno())
                self._lock()
                self._read()
                if not self.batch_id:
                    self._take_id()
        except BaseException:
            self._file.close()
            raise

    def read(self, item: Item) -> BatchResult[Any] | None:
        """Return the result of an item; None if the file had none when it was opened.

        Raises ConfigurationError if the result belongs to another item.
        """
        offset = self._offset(item.index)
        if offset == _ABSENT:
            return None
        with self._file_errors():
            line = self._line_at(offset)
            try:
                return decode(line, item)
            except KeyError:
                pass
        raise ConfigurationError(
            f"Item {item.index} differs from the one whose result is in {self.path}: the file belongs to other items, "
            "or to other parameters. Pass the same items and parameters again, or another results file.",
            param="results",
        )

    def has(self, index: int) -> bool:
        """Return whether the item had a result when the file was opened."""
        return self._offset(index) != _ABSENT

    def append(self, lines: Sequence[bytes]) -> None:
        """Append whole lines and write them to the disk. Raises ConfigurationError, for a full disk for example."""
        with self._file_errors():
            left = memoryview(b"".join(lines))
            while left:
                left = left[os.write(self._file.fileno(), left) :]
            os.fsync(self._file.fileno())
            if self._has_id_path:
                self._has_id_path = False
                self._id_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, which ends its lock."""
        self._file.close()

    def _offset(self, index: int) -> int:
        return self._offsets[index] if index < len(self._offsets) else _ABSENT

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"Another batch is writing to {self.path}. Wait for it, or pass another results file.", param="results"
            ) from None

    def _read(self) -> None:
        """Index the lines; cut off a torn one at the end."""
        end = 0
        self._file.seek(0)
        with os.fdopen(os.dup(self._file.fileno()), "rb", buffering=1 << 20) as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break
                self._index(number, line, end)
                end += len(line)
        if end < os.fstat(self._file.fileno()).st_size:
            self._check_torn(end)
            os.ftruncate(self._file.fileno(), end)
            os.fsync(self._file.fileno())

    def _index(self, number: int, line: bytes, offset: int) -> None:
        head = read_head(line[:-1])
        if head is None or head.index >= _MOST or (self.batch_id and head.batch_id != self.batch_id):
            raise ValueError(f"line {number} is not a line of a results file")
        self.batch_id = head.batch_id
        if head.index >= len(self._offsets):
            self._offsets.extend([_ABSENT] * (head.index + 1 - len(self._offsets)))
        if self._offsets[head.index] == _ABSENT:
            self.cost += head.cost
        self._offsets[head.index] = offset

    def _check_torn(self, start: int) -> None:
        # The file of somebody else, with one line that has no end, is not to be cut.
        if start == 0 and not b'{"index": '.startswith(os.pread(self._file.fileno(), 10, 0)):
            raise ValueError("line 1 is not a line of a results file")

    def _line_at(self, offset: int) -> bytes:
        parts = []
        while part := os.pread(self._file.fileno(), _CHUNK, offset):
            head, newline, _ = part.partition(b"\n")
            parts.append(head)
            if newline:
                break
            offset += len(part)
        return b"".join(parts)

    def _take_id(self) -> None:
        """Take the ID of a batch that ended before its first result, or a new one."""
        with suppress(FileNotFoundError, UnicodeDecodeError):
            known = self._id_path.read_text(encoding="ascii")
            if _ID.fullmatch(known):
                self.batch_id = known
                return
        self.batch_id = new_batch_id()
        temporary = self._id_path.with_name(f"{self._id_path.name}.new")
        with open(temporary, "wb", opener=_private) as file:
            file.write(self.batch_id.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._id_path)
        sync_folder(self.path)

    @contextmanager
    def _file_errors(self) -> Iterator[None]:
        """Convert the errors of the file system to ConfigurationError."""
        problem = None
        try:
            yield
        except ConfigurationError:
            raise
        except (OSError, ValueError) as error:
            problem = (isinstance(error, OSError) and error.strerror) or str(error)
        if problem is not None:
            raise ConfigurationError(
                f"Cannot use the results file {self.path}: {problem}. Pass the path of a new file, or of one that a "
                "batch has written.",
                param="results",
            )


def new_batch_id() -> str:
    """Return the ID of a new batch."""
    return uuid.uuid4().hex


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, _OWNER_ONLY)
