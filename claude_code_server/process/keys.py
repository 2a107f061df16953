"""Command ``claude-code-client keys``: creates, lists, revokes and rotates the keys of a state directory."""

from __future__ import annotations

import argparse
import json
import secrets
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from ..domain.api_key import STORED, StoredKey, hash_key, new_key
from ..domain.permissions import PRESETS
from ..domain.timestamps import now
from ..storage.key_table import KeyTable
from ..storage.store import STATE_FILE, StoreError, open_keys
from .arguments import add_state_dir, parse
from .key_options import add_permission_options, check_tools, expiry, permissions_from

_PROG: Final = "claude-code-client keys"
_MAX_NAME: Final = 100
_COLUMNS: Final = ("id", "name", "preset", "status", "created", "expires", "last used")


class _CommandError(Exception):
    """The command failed. The message is one line."""


def run_keys(argv: Sequence[str]) -> int:
    """Run the command with the arguments after ``keys``.

    Return the exit code: 0, 1 if the command failed, 2 for wrong usage.
    """
    options = parse(_parser(), argv)
    if isinstance(options, int):
        return options
    try:
        _check_state(options)
        with open_keys(options.state_dir) as table:
            _COMMANDS[options.command](table, options)
    except (_CommandError, StoreError, sqlite3.Error) as error:
        sys.stderr.write(f"{_PROG} {options.command}: {error}\n")
        return 1
    return 0


def has_active_keys(state_dir: Path | None) -> bool:
    """Return whether a server with this state directory would accept stored keys. False if that cannot be read."""
    if state_dir is None or not (state_dir / STATE_FILE).exists():
        return False
    try:
        with open_keys(state_dir) as table:
            return bool(table.active(now()))
    except (StoreError, sqlite3.Error):
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROG, description="Manage the API keys of an embedded server.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="create|list|revoke|rotate")
    state = argparse.ArgumentParser(add_help=False)
    add_state_dir(state)
    create = commands.add_parser("create", parents=[state], help="create a key and print it")
    create.add_argument("name", help="name of the key, such as that of its user")
    create.add_argument(
        "--preset",
        choices=PRESETS,
        default="free",
        help="permissions that the options below change (default: %(default)s)",
    )
    create.add_argument(
        "--expires",
        type=expiry,
        metavar="WHEN",
        help="30m, 12h, 90d, 4w, or a date such as 2030-12-31 (default: never)",
    )
    add_permission_options(create)
    listing = commands.add_parser("list", parents=[state], help="list all keys, without the keys themselves")
    listing.add_argument("--json", action="store_true", help="print JSON, with the permissions of each key")
    for name, description in (
        ("revoke", "end a key at once, with its running tasks"),
        ("rotate", "replace a key by a new one with the same name, permissions, tasks and usage, and print it"),
    ):
        command = commands.add_parser(name, parents=[state], help=description)
        command.add_argument("key", metavar="NAME", help="name or ID of the key")
    return parser


def _check_state(options: argparse.Namespace) -> None:
    """Raise an error for a state directory that only ``create`` would create."""
    if options.command != "create" and not (options.state_dir / STATE_FILE).exists():
        raise _CommandError(f"{options.state_dir} is not the state directory of a server")


def _create(table: KeyTable, options: argparse.Namespace) -> None:
    name = options.name.strip()
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        raise _CommandError(f"a name has 1 to {_MAX_NAME} printable characters")
    permissions = permissions_from(options)
    if (problem := check_tools(permissions)) is not None:
        raise _CommandError(problem)
    key = new_key()
    stored = StoredKey(
        id=f"{STORED}{secrets.token_hex(4)}",
        name=name,
        key_hash=hash_key(key),
        preset=options.preset,
        permissions=permissions,
        created_at=now(),
        expires_at=options.expires,
    )
    try:
        table.add(stored)
    except sqlite3.IntegrityError:
        raise _CommandError(f"a key named {name!r} exists; revoke or rotate it, or choose another name") from None
    _show_once(key, stored)


def _list(table: KeyTable, options: argparse.Namespace) -> None:
    at = now()
    keys = table.every()
    if options.json:
        hidden = attrs.filters.exclude(attrs.fields(StoredKey).key_hash)
        entries = [{**attrs.asdict(key, filter=hidden), "status": key.status(at)} for key in keys]
        sys.stdout.write(json.dumps(entries, indent=2) + "\n")
        return
    rows = [
        (key.id, key.name, key.preset, key.status(at), *map(_short, (key.created_at, key.expires_at, key.last_used_at)))
        for key in keys
    ]
    widths = [max(len(row[column]) for row in (_COLUMNS, *rows)) for column in range(len(_COLUMNS))]
    for row in (_COLUMNS, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _revoke(table: KeyTable, options: argparse.Namespace) -> None:
    key = _find(table, options.key)
    table.revoke(key.id, now())
    sys.stdout.write(f"Revoked {key.name} ({key.id}).\n")


def _rotate(table: KeyTable, options: argparse.Namespace) -> None:
    found = _find(table, options.key)
    if found.status(now()) != "active":
        raise _CommandError(f"the key {found.name} is {found.status(now())}; create a new one")
    key = new_key()
    table.replace_hash(found.id, hash_key(key))
    _show_once(key, found)


def _find(table: KeyTable, name_or_id: str) -> StoredKey:
    key = table.find(name_or_id)
    if key is None:
        raise _CommandError(f"no key has the name or ID {name_or_id!r}; see '{_PROG} list'")
    return key


def _show_once(key: str, stored: StoredKey) -> None:
    """Print a new key alone on standard output, for scripts, and the rest on standard error."""
    sys.stderr.write(f"{stored.name} ({stored.id}): keep this key now, it is not shown again.\n")
    sys.stderr.flush()
    sys.stdout.write(f"{key}\n")


def _short(time: str | None) -> str:
    return "-" if time is None else f"{time[:16]}Z"


_COMMANDS: Final = {"create": _create, "list": _list, "revoke": _revoke, "rotate": _rotate}
