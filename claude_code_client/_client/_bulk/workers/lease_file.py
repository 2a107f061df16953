"""Leases on the disk: what items that are at workers may cost, for a coordinator that is started again.

Without it, a coordinator that was killed would not know that the server may have run items whose results are not in the
results file, and might spend their part of the budget on others. A lease is on the disk before its item is sent, and
counts as spent until the item's cost is known.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from ....errors import ConfigurationError

_OWNER_ONLY: Final = 0o600


class LeaseFile:
    """Leases of a batch, in a file beside its results file, whose lock protects it too."""

    def __init__(self, results: Path, batch_id: str) -> None:
        """Read what an earlier run has left."""
        self._path = results.with_name(f"{results.name}.leases")
        self._batch_id = batch_id
        self._open: set[int] = set()
        self.left: dict[int, float] = {}
        """USD by the position of the item; items with a result may be among them."""
        with suppress(FileNotFoundError):
            for line in self._path.read_bytes().splitlines():
                self._read(line)

    def write(self, leases: Mapping[int, float]) -> None:
        """Write leases to the disk. Raises ConfigurationError, for a full disk for example."""
        self._open.update(leases)
        line = json.dumps({"batch_id": self._batch_id, "leases": list(leases.items())}).encode() + b"\n"
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _OWNER_ONLY)
            try:
                os.write(file, line)
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise ConfigurationError(
                f"Cannot write {self._path}: {error.strerror}. Nothing was sent; make room, and start the batch again.",
                param="results",
            ) from None

    def settle(self, index: int) -> None:
        """Note that the cost of an item is known."""
        self._open.discard(index)
        self.left.pop(index, None)

    def close(self) -> None:
        """Remove the file if all costs are known."""
        if not self._open and not self.left:
            self._path.unlink(missing_ok=True)

    def _read(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            if record["batch_id"] == self._batch_id:
                self.left.update({int(index): float(usd) for index, usd in record["leases"]})
        except (ValueError, KeyError, TypeError):
            return  # a torn line: its items were not sent
