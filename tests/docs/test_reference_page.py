"""Code blocks of the reference page, run as written."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from support.code_blocks import ROOT, Block, blocks
from support.servers import responses
from support.servers.server_process import ServerProcess

from claude_code_client import ClaudeClient, CostExceededError, RateLimitError

from .conftest import KEYS

pytestmark = pytest.mark.xdist_group("docs_server")

PAGE = "docs/python-client-library.md"
BLOCKS = blocks(PAGE)
PYTHON = [block for block in BLOCKS if block.language == "python"]


def is_listing(block: Block) -> bool:
    """Return True if a block lists attributes and their types instead of statements."""
    return block.heading in ("CompletionResponse", "AgenticTaskResponse")


@pytest.fixture
def client(docs_environment: ServerProcess) -> Iterator[ClaudeClient]:
    with ClaudeClient() as client:
        yield client


@pytest.mark.parametrize("block", [block for block in PYTHON if not is_listing(block)], ids=str)
def test_python_blocks_run(block: Block, client: ClaudeClient) -> None:
    names: dict[str, Any] = {
        "__name__": "__main__",
        "client": client,
        "ClaudeClient": ClaudeClient,
        "CostExceededError": CostExceededError,
    }
    exec(compile(block.code, str(block), "exec"), names)
    for value in names.values():
        if isinstance(value, ClaudeClient) and value is not client:
            value.close()
    names.clear()
    gc.collect()


def client_of(server: HTTPServer, *scripted: tuple[int, Any]) -> ClaudeClient:
    """Return a client that receives these responses in turn, without retries."""
    for status, body in scripted:
        server.expect_ordered_request(re.compile(".*")).respond_with_json(body, status=status)
    return ClaudeClient(KEYS[0], server.url_for("/v1"), max_retries=0)


def example(heading: str) -> Block:
    """Return the block under a heading."""
    [block] = [block for block in PYTHON if block.heading == heading]
    return block


LIMITED = (429, responses.error("rate_limit_error", "Slow down."))


@pytest.mark.parametrize(
    ("heading", "response", "printed"),
    [
        ("Exceptions", (200, responses.COMPLETION), ""),
        ("Exceptions", (401, responses.error("authentication_error")), "Invalid API key\n"),
        ("Exceptions", LIMITED, "Rate limited, retry later\n"),
        ("Exceptions", (500, responses.error("server_error", "It broke.")), "Error: It broke."),
        ("Error Handling", (200, responses.task("completed")), ""),
        ("Error Handling", (200, responses.task("timeout")), "Task timed out\n"),
        ("Error Handling", (403, responses.error("permission_error")), "Permission denied - upgrade tier\n"),
        ("Error Handling", (402, responses.error("cost_exceeded_error", estimated_cost=2)), "Would cost $2.0\n"),
        ("Error Handling", (500, responses.error("server_error", "It broke.")), "API error: 500 - It broke."),
    ],
)
def test_examples_catch_the_exceptions_they_name(
    heading: str, response: tuple[int, Any], printed: str, httpserver: HTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with client_of(httpserver, response) as client:
        exec(example(heading).code, {"client": client, "CostExceededError": CostExceededError})
    said = capsys.readouterr().out
    assert said.startswith(printed)
    assert bool(said) is bool(printed)


@pytest.mark.parametrize(
    ("limited", "waits"), [(0, []), (1, [1]), (2, [1, 2]), (3, [1, 2])], ids=["never", "once", "twice", "always"]
)
def test_retry_example(limited: int, waits: list[int], httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    names: dict[str, Any] = {}
    with client_of(httpserver, *[LIMITED] * limited, (200, responses.COMPLETION)) as client:
        names["client"] = client
        with pytest.raises(RateLimitError) if limited == 3 else nullcontext():
            exec(example("With Retries").code, names)
    assert slept == waits
    assert ("response" in names) is (limited < 3)
    httpserver.clear()


LISTED_TYPES = {"str": str, "int": int, "float": float, "dict": dict, "list": list}


@pytest.fixture(scope="module")
def results(docs_server: ServerProcess) -> dict[str, Any]:
    """Results that have the attributes of the examples."""
    with ClaudeClient(KEYS[0], docs_server.base_url) as client:
        task = "Write documentation for src/app.py in docs/app.md"
        return {
            "response": client.complete("What is Python?"),
            "result": client.execute_task(task, allow_tools=["Read", "Write"]),
        }


@pytest.mark.parametrize("block", [block for block in PYTHON if is_listing(block)], ids=str)
def test_listed_attributes_have_their_documented_types(block: Block, results: dict[str, Any]) -> None:
    names = dict(results)
    statement, _, listing = block.code.partition("\n\n")
    exec(compile(statement, str(block), "exec"), names)
    owner = ""
    checked = 0
    for line in listing.splitlines():
        expression, _, said = (part.strip() for part in line.partition("#"))
        if line.startswith("  "):
            expression = owner + expression
        else:
            owner = expression
        value = eval(expression, names)
        kind = re.match(r"\w+", said)
        assert kind is not None, line
        if kind[0] in LISTED_TYPES:
            assert type(value) is LISTED_TYPES[kind[0]], line
            checked += 1
    assert checked >= 6


def test_only_attribute_listings_are_not_statements() -> None:
    for block in PYTHON:
        if is_listing(block):
            with pytest.raises(SyntaxError):
                compile(block.code, str(block), "exec")


def test_shell_blocks_run(docs_server: ServerProcess, tmp_path: Path, wheel: Path) -> None:
    ran = 0
    for block in BLOCKS:
        if block.language == "bash" and block.code.startswith("export"):
            program = "import claude_code_client as c; x = c.ClaudeClient(); print(x.base_url, x._config.timeout)"
            script = f"{block.code}\n'{sys.executable}' -W error -c '{program}'"
            done = subprocess.run(["sh", "-eu", "-c", script], capture_output=True, text=True, timeout=30, check=True)
            assert done.stdout == "https://api.claude.ai/v1 300.0\n"
            ran += 1
        elif block.language == "bash":
            install(block.code, wheel, tmp_path)
            ran += 1
    assert ran == sum(block.language == "bash" for block in BLOCKS) == 2


def install(command: str, wheel: Path, folder: Path) -> None:
    """Run a pip command as written, with the wheel of this checkout instead of the index."""
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheel.parent),
        "PIP_NO_DEPS": "1",
        "PIP_NO_COMPILE": "1",
        "PIP_TARGET": str(folder),
        "PIP_QUIET": "1",
    }
    subprocess.run(["sh", "-eu", "-c", command], env=environ, timeout=60, check=True)
    assert (folder / "claude_code_client" / "py.typed").is_file()


def test_all_blocks_are_covered() -> None:
    assert {block.language for block in BLOCKS} <= {"python", "bash"}


def test_page_matches_the_specification() -> None:
    shared = ROOT.parent / "shared" / "reference" / "python-client-library.md"
    if shared.is_file():
        assert (ROOT / PAGE).read_bytes() == shared.read_bytes()
    assert len(PYTHON) == 21
