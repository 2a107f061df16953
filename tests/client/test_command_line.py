"""Command line of the package: what it prints without starting a server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from claude_code_client import __version__
from claude_code_client._cli import cli

# Finds none of the packages of the extra "server".
WITHOUT_EXTRA = """
import sys
MISSING = ("starlette", "uvicorn", "jsonschema", "referencing", "psutil", "claude_agent_sdk")
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
from claude_code_client._cli.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"claude-code-client {__version__}\n"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["serve", "--help"]])
def test_module_runs_the_command_line(arguments: list[str]) -> None:
    result = run("-m", "claude_code_client", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert "claude-code-client" in result.stdout


def test_help_of_serve_needs_no_extra() -> None:
    result = run("-c", WITHOUT_EXTRA, "serve", "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "--workspace" in result.stdout


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["nonsense"]) == 2
    assert "usage: claude-code-client" in capsys.readouterr().err
