"""Queries through the Agent SDK alone, with the options that the embedded server would use.

Run as a program, in an environment built from nothing, it makes a query for every line on stdin, and prints the
query's seconds. Its argument is the working directory.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Final

from claude_agent_sdk import query

from claude_code_server.domain.engine_protocol import TaskSpec
from claude_code_server.engine.claude_code import find_cli
from claude_code_server.engine.options import build_options, build_prompt

PROMPT: Final = "Count the files."
MODEL: Final = "claude-haiku-5-5"
_TIMEOUT: Final = 30.0


async def _query(workspace: Path) -> float:
    spec = TaskSpec(task_id="task_1", description=PROMPT, working_directory=workspace, model=MODEL, tools=("Bash",))
    start = time.monotonic()
    kinds = [
        type(message).__name__
        async for message in query(prompt=build_prompt(spec), options=build_options(spec, find_cli(), lambda _: None))
    ]
    assert kinds[-1] == "ResultMessage", kinds
    return time.monotonic() - start


def main(workspace: Path) -> None:
    for _ in sys.stdin:
        print(asyncio.run(asyncio.wait_for(_query(workspace), _TIMEOUT)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
