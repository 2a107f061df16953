"""Code blocks of the page on many items."""

from __future__ import annotations

import json

import pytest
from support.code_blocks import Block, blocks
from support.servers.server_process import ServerProcess

from claude_code_client._client._bulk.result_lines import read_head

pytestmark = pytest.mark.xdist_group("docs_server")

BLOCKS = blocks("docs/scaling.md")


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_python_blocks_run(block: Block, docs_environment: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block.code, str(block), "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out


def test_the_line_is_one_of_a_results_file() -> None:
    [example] = [block for block in BLOCKS if block.language == "json"]
    assert read_head(example.code.strip().encode()) is not None
    assert json.loads(example.code)["error"] is None
