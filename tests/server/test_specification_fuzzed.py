"""Every operation of the contract, called by schemathesis on a live server: no 5xx, and every response conforms."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from support.processes import eventually
from support.servers.embedded_server import KEY, Running, serving
from support.servers.scripted_engine import ScriptedEngine, calls, says

from claude_code_server.domain.engine_protocol import Outcome
from claude_code_server.domain.entities import ArtifactFile
from claude_code_server.domain.timestamps import now
from claude_code_server.domain.usage import Usage

pytestmark = pytest.mark.slow

CONTENT = b"made by the task"
# Left out are two checks. The server refuses more than schemas say, as the descriptions of the operations state:
# unknown tools, messages that are all of the system, the ID of an event that the task does not have. And schemathesis
# compares each event of a stream with the schema of the whole stream; `events_of` of the embedded server's tests
# compares it with its own.
CONFIGURATION = """
[checks]
positive_data_acceptance.enabled = false

[[operations]]
include-operation-id = ["stream_completion", "stream_task_events"]
checks.response_schema_conformance.enabled = false
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "made.txt").write_bytes(CONTENT)
    artifact = ArtifactFile("made.txt", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), now())
    outcome = Outcome("completed", summary="Done.", result={"a": 1}, artifacts=(artifact,), usage=Usage(70, 7, 0.0))
    engine = ScriptedEngine(says("a"), calls("Bash", command="ls"), outcome)
    with serving(workspace, engine, max_queued_tasks=100_000, max_queued_tasks_per_key=100_000) as running:
        yield running


def fuzz(server: Running, folder: Path, *options: str) -> int:
    """Run schemathesis, and return the number of its test cases."""
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    program = "from schemathesis.cli import schemathesis; schemathesis()"
    result = subprocess.run(
        [
            sys.executable, "-c", program, "--config-file=schemathesis.toml", "run",
            str(files("claude_code_api") / "openapi.json"), f"--url={server.base_url}",
            f"--header=Authorization: Bearer {KEY}", "--no-color", "--seed=1", "--continue-on-failure", "--no-shrink",
            "--generation-database=none", *options,
        ],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": ""},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-20_000:] + result.stderr
    found = re.search(r"^Test cases:\n\s+([\d,]+) generated, ([\d,]+) passed", result.stdout, re.MULTILINE)
    assert found is not None, result.stdout
    return int(found[1].replace(",", ""))


def failed_routes(server: Running) -> list[tuple[str, str]]:
    """Return the routes that responded with a 5xx, once all tasks have ended."""
    eventually(lambda: server.services.task_runner.count_active() == (0, 0))
    routes = server.services.metrics.routes
    return [key for key, route in routes.items() if any(status >= 500 for status in route.statuses)]


def unreached_operations(server: Running) -> set[str]:
    """Return the operations that never succeeded."""
    contract, routes = server.services.contract, server.services.metrics.routes
    reached = {key for key, route in routes.items() if any(status < 300 for status in route.statuses)}
    return {
        each.id for each in contract.operations.values() if (contract.base_path + each.path, each.method) not in reached
    }


def test_a_few_cases_of_every_operation(server: Running, tmp_path: Path) -> None:
    assert fuzz(server, tmp_path, "--phases=examples,fuzzing,stateful", "--max-examples=2") > 50
    assert failed_routes(server) == []
    assert unreached_operations(server) <= {"stream_task_events", "cancel_task", "download_artifact"}


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_thousands_of_cases_and_sequences_of_calls(server: Running, tmp_path: Path) -> None:
    assert fuzz(server, tmp_path, "--max-examples=150") > 3000
    assert failed_routes(server) == []
    assert unreached_operations(server) == set()
