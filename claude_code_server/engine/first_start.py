"""First start of Claude Code: it migrates an empty configuration, and notes what it has done as flags.

Each run has an empty configuration of its own. With the flags of the first one in it, Claude Code has nothing to
migrate, which saves a twentieth of its start.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

_FILE: Final = ".claude.json"


class FirstStart:
    """Flags of the first start, for the configurations of later runs."""

    def __init__(self) -> None:
        self._flags: dict[str, bool | int] | None = None

    def write_to(self, config: Path) -> None:
        """Write the flags into an empty configuration directory, if they are known."""
        if self._flags:
            with (config / _FILE).open("x", encoding="utf-8") as file:
                json.dump(self._flags, file)

    def learn_from(self, config: Path) -> None:
        """Read the flags from the configuration directory of a run whose agent has not started; at the first call only.

        Later, agents that are not in a sandbox could have changed it. Nothing that is particular to one run is a
        flag: the identifiers that Claude Code draws are strings, and names are in objects.
        """
        if self._flags is not None:
            return
        self._flags = {}
        try:
            known = json.loads((config / _FILE).read_bytes())
        except (OSError, ValueError):
            return
        if isinstance(known, dict):
            self._flags = {name: value for name, value in known.items() if isinstance(value, bool | int)}
