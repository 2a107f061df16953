"""Time to import the library and to make a client, as ratios to httpx."""

from __future__ import annotations

import subprocess
import sys

import httpx

from benchmarks.timing import report, seconds
from claude_code_client import ClaudeClient

_CLIENT = "from claude_code_client import ClaudeClient; ClaudeClient('sk-proj-bench', 'http://127.0.0.1:1/v1')"


def bench_startup() -> None:
    def process(code: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True), 9)

    nothing = process("pass")
    baseline = process("import httpx") - nothing
    report("import claude_code_client", process("import claude_code_client") - nothing, baseline, "import httpx")
    report("import and make a client", process(_CLIENT) - nothing, baseline, "import httpx")
    report(
        "ClaudeClient(…)",
        seconds(lambda: ClaudeClient("sk-proj-bench", "http://127.0.0.1:1/v1").close(), 50),
        seconds(lambda: httpx.Client().close(), 20),
        "httpx.Client()",
    )
