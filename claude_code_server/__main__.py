"""Command line of the package: ``python -m claude_code_server child`` and ``python -m claude_code_server serve …``."""

from __future__ import annotations

import sys


def main(argv: list[str]) -> int:
    """Run a command and return its exit code."""
    match argv:
        case ["child"]:
            from .process.child import run_child

            return run_child()
        case ["serve", *options]:
            from .process.cli import run_foreground

            return run_foreground(options)
    sys.stderr.write("usage: python -m claude_code_server serve [--help] | child\n")
    return 2


if __name__ == "__main__":
    from .process.isolation import isolate_process

    isolate_process()
    sys.exit(main(sys.argv[1:]))
