"""Code blocks of the README, run as written."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.code_blocks import ROOT, Block, blocks
from support.servers.server_process import ServerProcess

from claude_code_client import ClaudeClient
from claude_code_server.domain.price_file import parse_price_file

from .test_reference_page import install

pytestmark = pytest.mark.xdist_group("docs_server")

BLOCKS = blocks("README.md")


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_python_blocks_run(block: Block, docs_environment: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(block.code, str(block), "exec"), names)
    assert capsys.readouterr().out
    if isinstance(names.get("client"), ClaudeClient):
        names["client"].close()
    names.clear()
    gc.collect()


def commands(document: str = "README.md") -> list[str]:
    """Return the shell commands of a document, one per line, without comments."""
    lines = [line for block in blocks(document) if block.language == "sh" for line in block.code.splitlines()]
    return [re.sub(r"\s+#.*", "", line) for line in lines]


MAKE_COMMANDS = [each for each in commands() + commands("CONTRIBUTING.md") if each.startswith("make")]


@pytest.mark.parametrize("command", MAKE_COMMANDS)
def test_make_targets_exist(command: str) -> None:
    # The targets call this test, so that they are only looked at here; make demo is run by its own test.
    done = subprocess.run(
        [*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", [command for command in commands() if command.startswith("pip")])
def test_pip_commands_run(command: str, wheel: Path, tmp_path: Path) -> None:
    install(command, wheel, tmp_path)


@pytest.mark.parametrize("command", [command for command in commands() if command.startswith("claude-code-client")])
def test_serve_runs_until_ctrl_c(command: str, docs_environment: ServerProcess, tmp_path: Path) -> None:
    scripts = Path(sys.executable).parent
    environ = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(tmp_path),
        "PYTHONUNBUFFERED": "1",
    }
    del environ["CLAUDE_API_KEY"]
    # Another program may have the documented port; the documented workspace may not exist; tests stay on loopback.
    options = command.replace("/work ", ". ").replace("0.0.0.0", "127.0.0.1").split()
    with subprocess.Popen(
        [*options, "--port", "0"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = ""
        while "sk-proj-" not in said:
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            said += line
        url = re.search(r"http://[^\s\"]+", said)
        key = re.search(r"sk-proj-[\w-]+", said)
        assert url is not None
        assert key is not None
        with ClaudeClient(key[0], url[0]) as client:
            assert client.get_health().upstream == "offline"
            assert client.list_models()
        allowed = [name for option, name in pairwise(options) if option == "--allowed-host"]
        hosts = {**dict.fromkeys(["localhost", *allowed], 200), "other.example": 403}
        assert {host: httpx.get(f"{url[0]}/health", headers={"Host": host}).status_code for host in hosts} == hosts
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in rest + errors
    assert list(tmp_path.iterdir()) == []


def test_the_price_file_is_valid() -> None:
    [example] = [block for block in BLOCKS if block.language == "toml"]
    catalog = parse_price_file(example.code)
    priced = catalog.find("claude-opus-4-1")
    assert priced is not None
    assert priced.price.base.output == 75
    assert catalog.any_other is not None
    assert catalog.any_other.price.cost({"output_tokens": 1000}) == 0


def test_all_blocks_are_covered() -> None:
    assert {block.language for block in BLOCKS} == {"python", "sh", "toml"}
    assert all(command.startswith(("make ", "pip ", "claude-code-client ")) for command in commands())


def test_demo(tmp_path: Path) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "examples/demo.py"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Found 3 Python files in src." in done.stdout
    assert "artifact docs/cart.md" in done.stdout
    assert list(tmp_path.iterdir()) == []
