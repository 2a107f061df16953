"""Dask scheduler and worker that are processes of their own, so that the scheduler can be killed and started again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import distributed

_TIMEOUT = 20.0
_distributed: Any = distributed
"""Its functions have no types."""


class DaskProcesses:
    """Scheduler at an address that stays the same, and workers."""

    def __init__(self, variables: dict[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = str(free.getsockname()[1])
        self.address = f"tcp://127.0.0.1:{self._port}"
        self._environment = {"PATH": os.environ["PATH"], **variables}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._scheduler: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start a scheduler, and a worker that waits for it. The workers of a dead scheduler have ended."""
        self._scheduler = self._run("dask_scheduler", "--host", "127.0.0.1", "--port", self._port)
        self._run("dask_worker", self.address, "--nthreads", "1", "--no-nanny", "--death-timeout", "60")

    def kill_scheduler(self) -> None:
        """Send SIGKILL to the scheduler and wait for its end."""
        assert self._scheduler is not None
        self._scheduler.kill()
        self._scheduler.wait(_TIMEOUT)

    def close(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.kill()
            process.wait(_TIMEOUT)

    def _run(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{name}", *arguments, "--no-dashboard"]
        process = subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL)
        self._processes.append(process)
        return process


@contextmanager
def dask_processes(variables: dict[str, str]) -> Iterator[DaskProcesses]:
    """Run a scheduler and a worker with these environment variables."""
    cluster = DaskProcesses(variables)
    try:
        yield cluster
    finally:
        cluster.close()


@contextmanager
def connected(cluster: DaskProcesses) -> Iterator[Any]:
    """Connect to the scheduler once it listens; after it was lost, the client waits as long for another one."""
    with _distributed.Client(cluster.address, timeout=_TIMEOUT) as dask:
        yield dask
