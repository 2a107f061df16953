"""Code blocks and tables of the page on keys."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from support.code_blocks import ROOT, Block, blocks
from support.servers.server_process import ServerProcess

from claude_code_client._cli.cli import main
from claude_code_server.domain.permissions import PRESETS

pytestmark = pytest.mark.xdist_group("docs_server")

PAGE = "docs/keys.md"
BLOCKS = blocks(PAGE)


def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    [commands] = [block.code.splitlines() for block in BLOCKS if block.language == "sh"]
    for command in commands:
        program, *arguments = shlex.split(command)
        assert (program, main(arguments)) == ("claude-code-client", 0)
    assert "active" in capsys.readouterr().out


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_python_blocks_run(block: Block, docs_environment: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block.code, str(block), "exec"), {"__name__": "__main__"})
    assert "spent" in capsys.readouterr().out


def test_the_presets_are_the_real_ones() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    for name, preset in PRESETS.items():
        [row] = [line for line in text.splitlines() if line.startswith(f"| `{name}`")]
        tools, _, rate, timeout = (cell.strip() for cell in row.split("|")[2:6])
        assert tools == ("all" if preset.tools is None else ", ".join(preset.tools))
        assert rate == str(preset.requests_per_minute or "no limit")
        assert timeout == ("no limit" if preset.max_timeout is None else f"{preset.max_timeout:g} s")
