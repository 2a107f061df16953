"""Campaign against leaks: clients, handles and streams end at random points, and nothing of them is left."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support.clients import program
from support.lifetime.server import billing_server

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("count", [30, pytest.param(3000, marks=pytest.mark.long)], ids=["short", "long"])
@pytest.mark.timeout(3600)
def test_nothing_is_left(tmp_path: Path, count: int) -> None:
    """No task, reservation, thread, socket or warning is left, nothing runs twice, and the client stays usable."""
    folder, workspace = tmp_path / "client", tmp_path / "workspace"
    folder.mkdir()
    workspace.mkdir()
    with billing_server(workspace) as server:
        arguments = (server.base_url, str(server.database), str(folder), "seed", "1", str(count))
        ran = subprocess.run(
            program.command("support.lifetime.program", *arguments),
            env={**program.environment(), "PYTHONWARNINGS": "error"},
            capture_output=True,
            text=True,
            timeout=3500,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    print(found["ways"], ran.stderr)
    assert found["problems"] == [], "\n".join(found["problems"])
