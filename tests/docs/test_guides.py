"""Python blocks of the guides on hooks and the like."""

from __future__ import annotations

import pytest
from support.code_blocks import Block, blocks
from support.servers.server_process import ServerProcess

pytestmark = pytest.mark.xdist_group("docs_server")

GUIDES = ("docs/enterprise-networks.md", "docs/middleware.md")


@pytest.mark.parametrize(
    "block", [block for guide in GUIDES for block in blocks(guide) if block.language == "python"], ids=str
)
def test_python_blocks_run(block: Block, docs_environment: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block.code, str(block), "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out
