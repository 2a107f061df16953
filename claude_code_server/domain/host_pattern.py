"""Host patterns: ``NAME``, ``*.NAME`` for all names below, or either with ``:PORT``; without, the ports 80 and 443."""

from __future__ import annotations

import re
from typing import Final

import attrs

_PORTS: Final = (80, 443)
_PATTERN: Final = re.compile(r"(?P<name>(\*\.)?[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>\d{1,5}))?")


@attrs.frozen
class HostPattern:
    """An allowed host."""

    name: str
    """Name or address in lower case; begins with a dot if it stands for the names below."""
    port: int | None

    @classmethod
    def parse(cls, text: str) -> HostPattern:
        """Parse an allowed host. Raise ValueError."""
        found = _PATTERN.fullmatch(text.strip())
        if found is None or (found["port"] and not 0 < int(found["port"]) < 65536):
            raise ValueError(f"{text!r} is not a host: NAME, *.NAME or NAME:PORT")
        name = found["name"].strip("[]").lower().rstrip(".").removeprefix("*")
        return cls(name, int(found["port"]) if found["port"] else None)

    def matches(self, host: str, port: int) -> bool:
        """Return whether a host and port are allowed."""
        same = host.endswith(self.name) if self.name.startswith(".") else host == self.name
        return same and (port == self.port if self.port else port in _PORTS)
