"""A real disk that fills up: every reply that was delivered is found again, and the model is asked once for each."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.servers.messages_endpoint import ScriptedMessages, message
from support.servers.server_process import server_process

pytestmark = pytest.mark.slow

KEY = "sk-proj-test"
SIZE = 6_000_000
REPLY = "x" * 150_000
_MOUNT = 'mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec "$@"'


def small_disk(folder: Path) -> list[str]:
    """Return the start of a command that runs with a small file system of its own at ``folder``."""
    folder.mkdir()
    alone = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []), "sh", "-c", _MOUNT, "sh"]
    launcher = [*alone, str(SIZE), str(folder)]
    try:
        probe = subprocess.run([*launcher, "true"], capture_output=True, timeout=20)
    except FileNotFoundError:
        pytest.skip("this system has no unshare")
    if probe.returncode:
        pytest.skip("this machine does not let tests mount a file system in a namespace")
    return launcher


@pytest.mark.parametrize(
    ("min_free", "reason"),
    [pytest.param(2_000_000, "MB left", marks=pytest.mark.long), (0, "cannot store anything")],
)
def test_a_disk_that_fills_up_loses_nothing_that_was_delivered(tmp_path: Path, min_free: int, reason: str) -> None:
    asked: Counter[str] = Counter()

    def reply(body: dict[str, Any]) -> Any:
        name = body["messages"][0]["content"]
        asked[name] += 1
        return message(f"{name} {REPLY}")

    with (
        ScriptedMessages(reply) as endpoint,
        server_process(
            tmp_path,
            api_keys=[KEY],
            upstream=endpoint.url,
            options=[f"--min-free-bytes={min_free}", "--model=local"],
            launcher=small_disk(tmp_path / "state"),
        ) as server,
        httpx.Client(
            base_url=server.base_url, headers={"Authorization": f"Bearer {KEY}"}, timeout=20, verify=False
        ) as client,
    ):

        def ask(name: str) -> httpx.Response:
            body = {"messages": [{"role": "user", "content": name}]}
            return client.post("/chat/completions", json=body, headers={"Idempotency-Key": name})

        delivered: dict[str, Any] = {}
        while (response := ask(f"{len(delivered)}")).status_code == 200:
            delivered[f"{len(delivered)}"] = response.json()
            assert len(delivered) < 100
        assert len(delivered) > 3
        error = response.json()["error"]
        assert (response.status_code, error["type"]) == (503, "overloaded_error")
        assert reason in error["message"]
        task = client.post("/task", json={"description": "Do it."}, headers={"Prefer": "respond-async"})
        assert task.status_code == 503
        for name, whole in delivered.items():
            assert ask(name).json() == whole
        assert asked == dict.fromkeys(delivered, 1)
        ready = httpx.get(server.base_url.replace("/v1", "/health/ready"), verify=False)
        assert (ready.status_code, ready.json()["failing"]) == (503, ["disk" if min_free else "store"])
