"""The embedded server with settings of a test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def embedded_server(workspace: Path, *, api_keys: Sequence[str], **settings: Any) -> Iterator[str]:
    """Runs it as a child, as ``local()`` does; gives its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "claude_code_server", "child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ),
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = {"workspace": str(workspace), "api_keys": list(api_keys), "upstream": "offline", **settings}
        process.stdin.write(json.dumps(told).encode() + b"\n")
        process.stdin.flush()
        yield json.loads(process.stdout.readline())["base_url"]
        process.stdin.close()
        process.wait(20)
    assert process.returncode == 0
