"""Dask cluster of real processes on the loopback interface, and what it shows of the work that passes through it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

from support.clients.client_kinds import KEY
from support.clients.client_process import WORKER_KEY
from support.processes import eventually


@contextmanager
def dask_cluster(workers: int) -> Iterator[Any]:
    """Run a cluster whose workers have the tests' key in an environment variable of their own."""
    # Imported here, because every process of the tests imports this module. Its functions have no types.
    distributed: Any = import_module("distributed")
    before = os.environ.get(WORKER_KEY)  # another cluster's
    os.environ[WORKER_KEY] = KEY
    try:
        with (
            distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
            ) as cluster,
            distributed.Client(cluster) as dask,
        ):
            yield dask
    finally:
        if before is None:
            del os.environ[WORKER_KEY]


def kill_worker(dask: Any) -> str:
    """Send SIGKILL to a worker that runs a task; return its address. The cluster starts another one."""
    busy = {address for address, tasks in dask.processing().items() if tasks}
    workers = [worker for worker in dask.cluster.workers.values() if worker.worker_address in busy]
    worker = (workers or list(dask.cluster.workers.values()))[0]
    address: str = worker.worker_address
    os.kill(worker.pid, signal.SIGKILL)
    return address


def wait_for_replacement(dask: Any, killed: str) -> None:
    """Wait until the cluster has forgotten a killed worker, whose pages would wait for it, and has another one."""

    def is_replaced() -> bool:
        workers = dask.scheduler_info()["workers"]
        return killed not in workers and len(workers) == len(dask.cluster.workers)

    eventually(is_replaced)


def shown(dask: Any) -> str:
    """Return what the cluster shows: its pages over HTTP, the logs of all processes, and the tasks it knows."""
    base = f"http://127.0.0.1:{dask.cluster.scheduler.services['dashboard'].port}"
    workers = [quote(worker, safe="") for worker in dask.scheduler_info()["workers"]]
    tasks = [quote(key, safe="") for keys in dask.processing().values() for key in keys]
    pages = [_page(f"{base}/info/main/{name}.html", required=True) for name in ("workers", "logs", "exceptions")]
    pages += [
        _page(f"{base}/info/{kind}/{each}.html") for kind in ("worker", "logs", "call-stacks") for each in workers
    ]
    # A task may have ended meanwhile.
    pages += [_page(f"{base}/info/{kind}/{each}.html") for kind in ("task", "call-stack") for each in tasks]
    pages += [_page(f"{base}/json/counts.json"), _page(f"{base}/metrics")]
    told: list[Any] = [dask.get_scheduler_logs(), dask.get_worker_logs(), dask.call_stack(), dask.get_events()]
    return "\n".join([*pages, *map(repr, told)])


def _page(url: str, *, required: bool = False) -> str:
    try:
        with urlopen(url, timeout=20) as response:
            text: str = response.read().decode()
    except HTTPError as error:
        with error:
            if required:
                raise
            return error.read().decode()
    return text
