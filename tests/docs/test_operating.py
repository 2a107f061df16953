"""Examples of the pages on operating the server and on its limits, and the defaults that they state."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.code_blocks import ROOT, Block, blocks

from claude_code_server.process.bootstrap import StartError
from claude_code_server.process.option_sources import read_options
from claude_code_server.process.options import FIELDS

BLOCKS = blocks("docs/operating-the-server.md")
DEFAULTS = {option.name: option.default for option in FIELDS}
LIMITS = "docs/server-limits.md"


@pytest.mark.parametrize("block", [block for block in (*BLOCKS, *blocks(LIMITS)) if block.language == "toml"], ids=str)
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


def test_the_defaults_are_the_real_ones() -> None:
    rows = re.findall(r"^\| `--([\w-]+)` \| ([\d,]+)", (ROOT / LIMITS).read_text(encoding="utf-8"), re.MULTILINE)
    stated = {name: int(value.replace(",", "")) for name, value in rows}
    assert len(stated) == 13
    assert stated == {name: DEFAULTS[name] for name in stated}
    assert (DEFAULTS["max-concurrent-tasks"], DEFAULTS["min-free-bytes"]) == (4, 200_000_000)
