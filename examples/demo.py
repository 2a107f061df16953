"""A completion, an agentic task and a streamed task on the embedded server, in a copy of the sample workspace.

With ANTHROPIC_API_KEY set, real models reply, and the demo costs a few cents. Without a key, the offline model replies.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from claude_code_client import ClaudeAPIError, ClaudeClient

SAMPLE = Path(__file__).parent / "workspace"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="claude-code-demo-") as directory:
        workspace = Path(directory, "workspace")
        shutil.copytree(SAMPLE, workspace)
        try:
            with ClaudeClient.local(workspace) as client:
                demonstrate(client, workspace)
        except ClaudeAPIError as error:
            print(f"\nThe demo stopped: {error}", file=sys.stderr)
            return 1
    return 0


def demonstrate(client: ClaudeClient, workspace: Path) -> None:
    upstream = client.get_health().upstream
    print(f"Embedded server at {client.base_url}, model upstream: {upstream}.")
    if upstream == "offline":
        print("No ANTHROPIC_API_KEY: the offline model replies. It is not a language model and costs nothing.")
    else:
        print("ANTHROPIC_API_KEY is set: real models reply, and the demo costs a few cents.")

    heading("1. client.complete()")
    response = client.complete("What is Python?")
    print(response.content)
    print(f"→ {response.model}, {response.usage.total_tokens} tokens, ${response.usage.cost:.4f}")

    heading('2. client.execute_task("Count Python files in src/", allow_tools=["Bash"])')
    result = client.execute_task(description="Count Python files in src/", allow_tools=["Bash"])
    for step in result.execution_log:
        print(f"  {step['action']:12} {step['content']}")
    print(result.result["summary"])
    print(f"→ {result.status}, {result.usage.total_tokens} tokens, ${result.usage.total_cost:.4f}")

    heading("3. client.stream_task(), writing documentation")
    started = time.monotonic()
    for event in client.stream_task(
        "Write documentation for src/shop/cart.py in docs/cart.md", allow_tools=["Read", "Write"], max_cost=0.5
    ):
        print(f"  {time.monotonic() - started:5.2f} s  {event['type']:12} {first_line(event['content'])}")
        if event["type"] == "result":
            print(event["summary"])
            for artifact in event["artifacts"]:
                print(
                    f"→ artifact {artifact['path']}: {artifact['size_bytes']} bytes, sha256 {artifact['sha256'][:16]}…"
                )
                print(indent((workspace / artifact["path"]).read_text(encoding="utf-8")))
            print(f"→ {event['status']}, {event['usage']['total_tokens']} tokens, ${event['usage']['total_cost']:.4f}")


def heading(text: str) -> None:
    print(f"\n{text}\n{'─' * len(text)}")


def first_line(text: str) -> str:
    return (text.splitlines() or [""])[0][:100]


def indent(text: str) -> str:
    return "\n".join(f"    │ {line}" for line in text.splitlines()[:12])


if __name__ == "__main__":
    sys.exit(main())
