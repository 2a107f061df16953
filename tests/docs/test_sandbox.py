"""Commands and code of the page on the sandbox."""

from __future__ import annotations

import shlex

import pytest
from support.code_blocks import Block, blocks
from support.sandbox import needs_sandbox
from support.servers.server_process import ServerProcess

from claude_code_server.process import cli
from claude_code_server.process.option_sources import read_options

BLOCKS = blocks("docs/sandbox.md")


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "sh"], ids=str)
def test_commands_are_valid(block: Block, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    program, command, *arguments = shlex.split(block.code)
    assert (program, command) == ("claude-code-client", "serve")
    settings = cli._build_settings(read_options(arguments, {}, "serve", ""))
    assert settings.sandbox or settings.isolate


@needs_sandbox
@pytest.mark.xdist_group("docs_server")
@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_python_blocks_run(block: Block, docs_environment: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block.code, str(block), "exec"), {"__name__": "__main__"})
    assert "Found 5 Python files" in capsys.readouterr().out
