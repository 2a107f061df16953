"""Isolation of the server's process from the commands of its tasks, which run as the same user."""

from __future__ import annotations

import json
import os
import sys
from typing import Final

from ..runtime.process_control import adopt_orphans, deny_inspection

_KEYS: Final = (
    "ANTHROPIC_API_KEY",
    "CLAUDE_API_KEY",
    "CLAUDE_SERVER_API_KEY",
    "CLAUDE_SERVER_METRICS_TOKEN",
    "CLAUDE_SERVER_UPSTREAM_KEY",
)
_DESCRIPTOR: Final = "CLAUDE_CODE_SERVER_KEYS_FD"
"""Variable with the file descriptor of a pipe that contains the keys."""
_MAX_BYTES: Final = 32 * 1024
"""Smaller than any pipe's buffer."""


def isolate_process() -> None:
    """Protect the keys of this process, and adopt orphans of its descendants. Call it first in the program.

    If the environment has keys, restart the program without them: the kernel shows the environment with which a
    program was started, whatever the program does to it later. The keys arrive through a pipe.
    """
    deny_inspection()
    adopt_orphans()
    if (descriptor := os.environ.pop(_DESCRIPTOR, None)) is not None:
        with open(int(descriptor), encoding="utf-8") as pipe:  # noqa: PTH123
            os.environ.update(json.load(pipe))
        return
    keys = {name: value for name in _KEYS if (value := os.environ.get(name))}
    message = json.dumps(keys).encode()
    if keys and len(message) <= _MAX_BYTES:
        reading, writing = os.pipe()
        os.write(writing, message)
        os.close(writing)
        os.set_inheritable(reading, True)
        environment = {name: value for name, value in os.environ.items() if name not in keys}
        os.execve(  # noqa: S606
            sys.executable, [sys.executable, *sys.orig_argv[1:]], environment | {_DESCRIPTOR: str(reading)}
        )
