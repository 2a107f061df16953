"""Write the synchronous client from the asynchronous one, or check that it is up to date.

The public classes are written once, in ``claude_code_client/_client/_async``. This script rewrites each module word by
word into its synchronous twin in ``_sync``, as httpcore's and elasticsearch-py's ``unasync`` scripts do.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Final

from ruff import find_ruff_bin  # type: ignore[import-untyped]

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "claude_code_client" / "_client" / "_async"
TARGET: Final = SOURCE.with_name("_sync")
HEADER: Final = "# Generated from ../_async/{name} by `make generate`; not to be edited.\n\n"

SENTENCES: Final = {
    # Documentation that differs in more than single words, in the form that it has on one line.
    "Create one and share it between calls.": "Create one and share it between calls and between threads.",
    "; in a busy event loop, call it as ``await asyncio.to_thread(AsyncClaudeClient.local)``.": ".",
    " It may be a coroutine function.": "",
    "closed from another task.": "closed from another thread.",
    "End the stream, from any task. A task that waits for the next item gets ClosedError at once.": (
        "End the stream, from any thread. A thread that waits for the next item gets ClosedError at once; a thread "
        "that is connecting, once it is connected or has given up, after 10 seconds at most."
    ),
    "because another task is inside": "because another thread is inside",
    "in an ``async with``": "in a ``with``",
}
"""Sentences that differ in more than single words → their synchronous form. Line breaks in docstrings do not matter."""

WORDS: Final = (
    (r"\bawait asyncio\.to_thread\((.+)\)", r"\1()"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"``async with``", "``with``"),
    (r"\bawait ", ""),
    (r", may_be_async=True", ""),
    (r"\bAsyncGenerator\[([^\[\]]+), None\]", r"Generator[\1, None, None]"),
    (r"\basynchronous\b", "synchronous"),
    (r"\bAsyncExecution\[Any\]", "SyncStream"),
    (r"\bAsyncExecution\b", "SyncStream"),
    (r"\bAsync(Connection|Endpoints)\b", r"Sync\1"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\basync_connection\b", "sync_connection"),
    (r"\basync_execution\b", "sync_stream"),
    (r"\basync_batch\b", "sync_batch"),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\b__anext__\b", "__next__"),
    (r"\ba(close|send|throw)\b", r"\1"),
    (r"\bstrip_(tracebacks|stream)_async\b", r"strip_\1"),
)
"""Patterns → replacements, in this order."""

_WIDTH: Final = 120
_RUFF: Final = (("check", "--fix-only", "--quiet", "--select", "F401,I"), ("format", "--quiet"))


def main() -> int:
    """Parse the command line and run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    expected = {path.name: synchronous(path) for path in sorted(SOURCE.glob("*.py"))}
    found = {path.name: path.read_text(encoding="utf-8") for path in TARGET.glob("*.py")}
    stale = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    if parser.parse_args().check:
        for name in stale:
            print(f"{(TARGET / name).relative_to(ROOT)} differs from what {SOURCE.name}/ generates", file=sys.stderr)
        if stale:
            print("Edit the asynchronous source, then run `make generate`.", file=sys.stderr)
        return 1 if stale else 0
    TARGET.mkdir(exist_ok=True)
    for name in stale:
        if name in expected:
            (TARGET / name).write_text(expected[name], encoding="utf-8", newline="\n")
        else:
            (TARGET / name).unlink()
    return 0


def synchronous(path: Path) -> str:
    """Return the synchronous form of a module, formatted."""
    text = path.read_text(encoding="utf-8")
    for sentence, replacement in SENTENCES.items():
        text = re.sub(r"\s+".join(map(re.escape, sentence.split(" "))), replacement, text)
    for pattern, replacement in WORDS:
        text = re.sub(pattern, replacement, text)
    text = HEADER.format(name=path.name) + text
    for command, *options in _RUFF:
        # The target's name, so that ruff finds the project's settings and the import's first-party packages.
        arguments = [find_ruff_bin(), command, *options, "--stdin-filename", str(TARGET / path.name), "-"]
        text = subprocess.run(arguments, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return "".join(map(_wrapped, text.splitlines(keepends=True)))


def _wrapped(line: str) -> str:
    """Wrap a line that the formatter left too long: prose of a docstring."""
    indent = line[: len(line) - len(line.lstrip())]
    return "\n".join(textwrap.wrap(line, _WIDTH, subsequent_indent=indent)) + "\n" if len(line) > _WIDTH + 1 else line


if __name__ == "__main__":
    sys.exit(main())
