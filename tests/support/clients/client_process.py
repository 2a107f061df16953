"""Starts ``worker.py`` and reads what it says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from support.clients.client_kinds import KEY

TIMEOUT = 20.0
"""Seconds until something that a test waits for counts as never."""
_PROGRAM = Path(__file__).with_name("worker.py")


@dataclass
class ClientProcess:
    process: subprocess.Popen[str]
    lines: SimpleQueue[str]

    def wait_for(self, word: str) -> str:
        """The rest of the next line that starts with ``word``; fails if it never comes."""
        limit = time.monotonic() + TIMEOUT
        while True:
            try:
                line = self.lines.get(timeout=max(limit - time.monotonic(), 0.001))
            except Empty:
                raise AssertionError(f"the worker never said {word}") from None
            said, _, rest = line.partition(" ")
            if said == word:
                return rest
            assert line, f"the worker ended before it said {word}"

    def interrupt(self) -> tuple[float, int, str]:
        """Send SIGINT; seconds until it ended, its exit code and what it wrote on stderr."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(TIMEOUT)
        seconds = time.monotonic() - start
        assert self.process.stderr is not None
        return seconds, code, self.process.stderr.read()

    def kill(self) -> None:
        self.process.kill()
        assert self.process.wait(TIMEOUT) == -signal.SIGKILL


@contextmanager
def client_process(kind: str, base_url: str, call: str, task: dict[str, Any], **told: Any) -> Iterator[ClientProcess]:
    """A worker that makes one call; it does not outlive the ``with``."""
    client = {"api_key": KEY, "base_url": base_url, "timeout": 60}
    if "journal" in told:
        client["journal"] = told["journal"]
    order = {"kind": kind, "client": client, "call": call, "task": task, **told}
    process = subprocess.Popen(
        [sys.executable, str(_PROGRAM), json.dumps(order)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
    )
    lines: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line.rstrip("\n"))
        lines.put("")

    with process:
        reader = Thread(target=read)
        reader.start()
        try:
            yield ClientProcess(process, lines)
        finally:
            process.kill()
            process.wait(TIMEOUT)
            reader.join(TIMEOUT)
