"""Child processes of the server itself, which are no orphans of tasks. Blocking: use a thread."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

lock: Final = threading.Lock()
"""Held while a child starts, and while orphans are looked for: in between, every child is in ``pids``."""
pids: Final[set[int]] = set()


def run(
    words: Sequence[str], environment: Mapping[str, str], directory: Path | None, timeout: float
) -> subprocess.CompletedProcess[bytes]:
    """Run a command with its output captured. Raise OSError or TimeoutExpired."""
    with lock:
        process = subprocess.Popen(
            words,
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        pids.add(process.pid)
    try:
        output, errors = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        pids.discard(process.pid)
    return subprocess.CompletedProcess(list(words), process.returncode, output, errors)
