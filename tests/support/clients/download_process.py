"""Process that downloads an artifact over an old file and reports errors, memory and the file's state.

Its argument is a JSON object: ``kind``, ``to``, ``urls`` of servers to download from, one after another, and optionally
``file_size``, the largest file in bytes that the process may write.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from claude_code_client import AsyncClaudeClient, ClaudeAPIError, ClaudeClient
from support.clients import program
from support.clients.client_kinds import KEY

TIMEOUT = 50.0
_MOUNT = 'mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec "$@"'


class NoNamespacesError(Exception):
    """This machine does not let tests mount a file system in a namespace."""


def run_download(arguments: dict[str, Any], *, disk: int | None = None) -> dict[str, Any]:
    """Run the process and return its report; with ``disk``, on its own file system of so many bytes."""
    command = program.command("support.clients.download_process", json.dumps(arguments))
    if disk is not None:
        alone = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []), "sh", "-c", _MOUNT, "sh"]
        probe = [*alone, "4096", str(Path(arguments["to"]).parent), "true"]
        if subprocess.run(probe, capture_output=True, timeout=TIMEOUT).returncode:
            raise NoNamespacesError
        command = [*alone, str(disk), str(Path(arguments["to"]).parent), *command]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=program.environment())
    assert ran.returncode == 0, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


def main(kind: str, to: str, urls: list[str], file_size: int | None = None) -> dict[str, Any]:
    place = Path(to)
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    place.write_bytes(b"old")
    before = _facts(place)
    outcome: dict[str, Any] = {"error": None}
    peaks = []
    try:
        for url in urls:
            _download(kind, url, to)
            peaks.append(_peak())
    except ClaudeAPIError as error:
        outcome = {"error": type(error).__name__, "errno": getattr(error, "errno", None), "message": str(error)}
    return {
        **outcome,
        "peaks": peaks,
        "untouched": _facts(place) == before and place.read_bytes() == b"old",
        "size": place.stat().st_size,
        "names": sorted(path.name for path in place.parent.iterdir()),
    }


def _download(kind: str, url: str, to: str) -> None:
    options: dict[str, Any] = {"api_key": KEY, "base_url": url, "timeout": TIMEOUT, "max_retries": 0}

    async def wait() -> None:
        async with AsyncClaudeClient(**options) as client:
            await client.download_artifact("task_1", "art_1", to)

    if kind == "async":
        asyncio.run(wait())
    else:
        with ClaudeClient(**options) as client:
            client.download_artifact("task_1", "art_1", to)


def _facts(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_mode, found.st_mtime_ns


def _peak() -> int:
    """Return the peak memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would include the process that started this one.
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
