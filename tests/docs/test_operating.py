"""Examples of the page on operating the server."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.code_blocks import Block, blocks

from claude_code_server.process.bootstrap import StartError
from claude_code_server.process.option_sources import read_options

BLOCKS = blocks("docs/operating-the-server.md")


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "toml"], ids=str)
def test_settings_files_are_accepted(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text(block.code)
    read_options(["--config", str(file)], {}, "serve", "")


def test_the_error_is_the_real_one(tmp_path: Path) -> None:
    [shown] = [block.code.strip() for block in BLOCKS if "line 2" in block.code]
    file = tmp_path / "agents.toml"
    file.write_text("port = 1\nallowed_host = []")
    with pytest.raises(StartError) as caught:
        read_options(["--config", str(file)], {}, "serve", "")
    assert shown.partition(": ")[2].replace("/etc/agents.toml", str(file)) == str(caught.value)
