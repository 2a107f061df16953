"""Server with a scripted engine in a process of its own, to be killed while tasks wait in its queue.

Run as a program with the folder of the test; it writes its URL to stdout and starts no task after the first.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.servers.embedded_server import serving
from support.servers.scripted_engine import Gate, ScriptedEngine


@contextmanager
def queue_server(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the process, and yield it with the base URL of the server; kill it at the end."""
    command = [sys.executable, "-m", "support.servers.queue_server", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def main(folder: Path) -> None:
    """Serve until the process is killed."""
    engine = ScriptedEngine(Gate())
    with serving(folder / "workspace", engine, state_dir=folder / "state", max_concurrent_tasks=1) as server:
        print(server.base_url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
