"""Renamed paths and fields in the contract: client and server follow after `make generate`, without another edit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from generation.generator import generate_package

# The generator runs in this process, as in other tests of the group.
pytestmark = pytest.mark.xdist_group("generation")

PROGRAM = """
    import json, logging, sys
    import claude_code_api, httpx
    from claude_code_client import ClaudeClient, InvalidRequestError

    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="LOG %(message)s")
    with ClaudeClient.local({workspace!r}) as client:
        events = []
        result = client.execute_task(
            "Count Python files in src/", allow_tools=["Bash"], max_cost=0.5, on_event=events.append
        )
        [*_, last] = client.stream_events(result.id)
        listed = [task.id for task in client.list_tasks()]
        raw = httpx.Client(headers={{"Authorization": "Bearer " + client._server.api_key}}, trust_env=False)
        responses = {{
            "old path": raw.post(client.base_url + "/task", json={{"description": "x"}}),
            "old field": raw.post(client.base_url + "/agentic-tasks", json={{"description": "x"}}),
            "one task": raw.get(client.base_url + "/agentic-tasks/" + result.id),
        }}
        received = {{name: [response.status_code, response.json()] for name, response in responses.items()}}
    print("OUT " + json.dumps({{
        "generated": claude_code_api.__file__,
        "summary": result.result["summary"],
        "steps": len(result.execution_log),
        "events": [event["type"] for event in events],
        "last": last,
        "listed": result.id in listed,
        "received": received,
    }}))
"""


def rename(contract: dict[str, Any]) -> None:
    """Use other paths and other names for a required, an optional and a response field."""
    contract["paths"] = {
        path.replace("/task", "/agentic-tasks", 1) if path.startswith("/task") else path: item
        for path, item in contract["paths"].items()
    }
    request = contract["components"]["schemas"]["CreateTaskRequest"]
    request["required"] = ["instructions"]
    properties = request["properties"]
    properties["instructions"] = {**properties.pop("description"), "x-python-name": "description"}
    # The Python name stays the same without x-python-name: only the spelling changes.
    properties["maxCost"] = properties.pop("max_cost")
    task = contract["components"]["schemas"]["AgenticTaskResponse"]
    task["required"] = [*task["required"], "steps"]
    task["required"].remove("execution_log")
    task["properties"]["steps"] = {**task["properties"].pop("execution_log"), "x-python-name": "execution_log"}


@pytest.mark.timeout(120)
def test_client_and_server_follow_renamed_paths_and_fields(workspace: Path, tmp_path: Path) -> None:
    generated = tmp_path / "generated"
    generated.mkdir()
    generate_package(generated, rename)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM.format(workspace=str(workspace)))],
        env={**os.environ, "PYTHONPATH": str(generated)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [out] = [json.loads(line[4:]) for line in done.stdout.splitlines() if line.startswith("OUT ")]
    assert Path(out["generated"]).is_relative_to(generated)
    assert "POST /v1/agentic-tasks " in done.stdout
    assert out["summary"].startswith("Found 3 Python files")
    assert out["steps"] >= 3
    assert (out["events"][-1], out["last"]["type"]) == ("result", "result")
    assert out["listed"]
    status, body = out["received"]["old path"]
    assert (status, body["error"]["type"]) == (404, "not_found_error")
    status, body = out["received"]["old field"]
    assert (status, body["error"]["param"]) == (400, "instructions")
    status, body = out["received"]["one task"]
    assert status == 200
    assert body["steps"]
    assert "execution_log" not in body
