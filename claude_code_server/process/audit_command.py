"""Command ``claude-code-client audit``: prints the audit log of a state directory, also while a server uses it."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from typing import Any, Final

import attrs

from ..domain.audit import AuditEntry, key_id
from ..domain.timestamps import format_time
from .arguments import add_state_dir, parse, parse_time

_PROG: Final = "claude-code-client audit"
_HEAD: Final = f"{'time':24}  {'key':12}  {'what':37}  {'model':20}  {'status':13}  {'tokens':>9}  {'cost':>10}  tools"


def run_audit(argv: Sequence[str]) -> int:
    """Run the command; return the exit code: 0, 1 if the log cannot be read, 2 for wrong usage."""
    options = parse(_parser(), argv)
    if isinstance(options, int):
        return options
    import sqlite3

    from ..storage.audit import read_audit  # with sqlite3, which the help does without

    try:
        if not options.json:
            sys.stdout.write(f"{_HEAD}\n")
        for entry in read_audit(options.state_dir, since=options.since or "", key_prefix=options.key or ""):
            sys.stdout.write(f"{json.dumps(as_json(entry)) if options.json else _line(entry)}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        return 0
    except (OSError, ValueError, sqlite3.Error) as error:
        sys.stderr.write(f"{_PROG}: cannot read the state directory {options.state_dir}: {error}\n")
        return 1
    return 0


def as_json(entry: AuditEntry) -> dict[str, Any]:
    """Return the JSON object of an entry."""
    return {
        "at": entry.at,
        "ended_at": entry.ended_at,
        "key": key_id(entry.owner),
        "kind": entry.kind,
        "task_id": entry.task_id,
        "request_id": entry.request_id,
        "model": entry.model,
        "status": entry.status,
        "granted": attrs.asdict(entry.grants),
        "used": dict(entry.used),
        **attrs.asdict(entry.usage),
    }


def _line(entry: AuditEntry) -> str:
    used = ", ".join(
        f"{name} x{entry.used[name]}" if name in entry.used else f"({name})"
        for name in dict.fromkeys((*entry.used, *entry.grants.names()))
    )
    usage = entry.usage
    return (
        f"{entry.at:24}  {key_id(entry.owner):12}  {entry.task_id or entry.kind:37}  {entry.model:20}"
        f"  {entry.status:13}  {usage.total_tokens:>9}  {f'${usage.cost:.4f}':>10}  {used}"
    ).rstrip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROG,
        description="Print who ran what, with which tools, at what cost: a line for each task and completion, oldest"
        " first. Tools in parentheses were granted but not used.",
    )
    add_state_dir(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument(
        "--since", type=_since, metavar="TIME",
        help="leave out what is older: a time in ISO 8601 (UTC unless it says otherwise), or an age such as 30m, 12h,"
        " 7d or 4w",
    )  # fmt: skip
    parser.add_argument(
        "--key", type=_key, metavar="ID", help="one key's entries: its ID in this log, or the beginning"
    )
    return parser


def _since(text: str) -> str:
    try:
        return format_time(parse_time(text, sign=-1))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a time nor an age such as 7d") from None


def _key(text: str) -> str:
    if re.fullmatch(r"(key_)?[0-9a-f]{1,64}", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not the ID of a key: digits and a to f, perhaps after key_")
    return text
