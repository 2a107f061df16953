"""Code blocks of the page on many items."""

from __future__ import annotations

import json

import pytest
from support.code_blocks import Block, blocks
from support.servers.server_process import ServerProcess

from claude_code_client._cli.batch_lines import RequestLine, parse_line
from claude_code_client._client._bulk.result_lines import read_head

pytestmark = pytest.mark.xdist_group("docs_server")

BLOCKS = blocks("docs/scaling.md")


# Dask warns, and takes another port, if a second cluster runs on this machine.
@pytest.mark.filterwarnings(r"ignore:\s*Port 8787 is already in use", "ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_python_blocks_run(block: Block, docs_environment: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block.code, str(block), "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out


def test_the_lines_of_the_command_are_requests_and_results() -> None:
    requests, results = (block.code.splitlines() for block in BLOCKS if block.language == "jsonl")
    for number, line in enumerate(requests, 1):
        request = parse_line(number, line.encode(), "prompt")
        assert isinstance(request, RequestLine)
        assert request["custom_id"] == f"T-{number}"
        assert "prompt" in request or request["messages"]
    for line in results:
        assert json.loads(line).keys() == {"custom_id", "line", "result", "cost", "request_digest"}


def test_the_line_is_one_of_a_results_file() -> None:
    [example] = [block for block in BLOCKS if block.language == "json"]
    assert read_head(example.code.strip().encode()) is not None
    assert json.loads(example.code)["error"] is None
