"""Command ``claude-code-client backup``: copies the state of a server into one file, also while the server runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from .arguments import add_state_dir, parse

_PROG: Final = "claude-code-client backup"


def run_backup(argv: Sequence[str]) -> int:
    """Run the command; return the exit code: 0, 1 if there is no backup, 2 for wrong usage."""
    options = parse(_parser(), argv)
    if isinstance(options, int):
        return options
    import sqlite3

    from ..storage.backup import BackupError, back_up  # with sqlite3, which the help does without

    try:
        size = back_up(options.state_dir, options.file)
    except (OSError, sqlite3.Error, BackupError) as error:
        sys.stderr.write(f"{_PROG}: no backup of {options.state_dir}: {error}\n")
        return 1
    sys.stdout.write(f"{options.file}: {size:,} bytes, checked\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROG,
        description="Copy the state of a server, which may be running, into one file. To restore it, make the file the"
        " state.sqlite3 of an empty state directory, and start the server with that.",
    )
    add_state_dir(parser)
    parser.add_argument("file", type=Path, metavar="FILE", help="file to create; one that exists is never replaced")
    return parser
