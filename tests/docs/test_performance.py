"""Code blocks and the table of the page on performance."""

from __future__ import annotations

import pytest
from support.code_blocks import ROOT, Block, blocks
from support.servers.server_process import ServerProcess

pytestmark = pytest.mark.xdist_group("docs_server")


@pytest.mark.parametrize("block", blocks("docs/performance.md"), ids=str)
def test_python_blocks_run(block: Block, docs_environment: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    assert block.language == "python"
    exec(compile(block.code, str(block), "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out


def test_table_is_that_of_the_last_run() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert (ROOT / "benchmarks" / "results" / "table.md").read_text(encoding="utf-8") in page
