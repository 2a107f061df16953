"""Check what a synchronous client imports for ``complete()`` against the list in ``module_budget.txt``.

Importing is most of what a short program spends. A module that is missing from the list costs every program its import:
import it where it is used, or add it with ``--write`` if a completion needs it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Final

LIST: Final = Path(__file__).with_name("module_budget.txt")
PACKAGES: Final = ("claude_code_api", "claude_code_client", "claude_code_common")
EXPENSIVE: Final = (
    *("asyncio", "click", "concurrent.futures", "dateutil", "email.utils", "hashlib", "httpx"),
    *("subprocess", "tempfile", "urllib.request"),
)
"""Other modules that a completion does not need. What httpcore imports itself does not count."""
EXPENSIVE_AT_START: Final = (*EXPENSIVE, "h11", "httpcore", "random", "ssl")
"""Other modules that making a client does not need."""

_PROGRAM: Final = """
import json, sys
before = set(sys.modules)
from claude_code_client import ClaudeClient
with ClaudeClient("sk-proj-budget", sys.argv[1]) as client:
    start = set(sys.modules) - before
    import httpcore
    before = set(sys.modules) - start
    client.complete("Hello")
print(json.dumps([sorted(start), sorted(set(sys.modules) - before)]))
"""
_COMPLETION: Final = {
    "id": "cmpl_1",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "Hello."}],
    "model": "claude-haiku-5-5",
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "cost": 0.0},
}


def main() -> int:
    """Compare, or write the list; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the list")
    start, found = imported_modules()
    ours = [name for name in found if name.partition(".")[0] in PACKAGES]
    if parser.parse_args().write:
        LIST.write_text("\n".join(ours) + "\n", encoding="utf-8")
        return 0
    budget = LIST.read_text(encoding="utf-8").split()
    problems = [
        *(f"{name} is imported, and not in {LIST.name}" for name in ours if name not in budget),
        *(f"{name} is in {LIST.name}, and no longer imported" for name in budget if name not in ours),
        *(f"{name} is imported, which takes long" for name in found if name in EXPENSIVE),
        *(f"{name} is imported at the start, which takes long" for name in start if name in EXPENSIVE_AT_START),
    ]
    if problems:
        print("\n".join([*problems, str(__doc__)]), file=sys.stderr)
    return 1 if problems else 0


def imported_modules() -> tuple[list[str], list[str]]:
    """Return the modules that a process imports to make a client, and those for a completion, without httpcore's."""
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            command = [sys.executable, "-c", _PROGRAM, f"http://127.0.0.1:{server.server_port}/v1"]
            output = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=30).stdout
        finally:
            server.shutdown()
            thread.join()
    start, modules = json.loads(output)
    return start, modules


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # noqa: N802: the name that http.server looks for
        """Respond with a completion."""
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(_COMPLETION).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


if __name__ == "__main__":
    sys.exit(main())
