"""Settings of ``serve``: one table, from which the flags, the variables and the settings file are read.

To add a setting, add an entry: to FIELDS if ``Settings`` has the value under its name, else to OPTIONS.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from ..domain.settings import Settings
from .option_types import DAYS, HOST, ISOLATION, PATH, SECONDS, SECRET, SWITCH, TEXT, OptionType, whole_number

VARIABLE_PREFIX: Final = "CLAUDE_SERVER_"
_MAX_PORT: Final = 65535


@attrs.frozen
class Option:
    """One setting."""

    name: str
    """Name in the settings file, and without its dashes that of the flag."""
    type: OptionType
    help: str
    """One line for ``--help``; ``{default}`` stands for the default."""
    metavar: str | None = None
    default: Any = None
    """Value if none is given; for a field of Settings, its default there."""
    repeatable: bool = False
    """True if there may be several values: a list in the file, separated by commas in the variable."""
    secret: bool = False
    """True if error messages must not show the value."""

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        return VARIABLE_PREFIX + self.attribute.upper()

    @property
    def attribute(self) -> str:
        return self.name.replace("-", "_")


def _limit(name: str, type: OptionType, help: str, metavar: str) -> Option:
    """Return an entry for the field of Settings with this name."""
    default = getattr(attrs.fields(Settings), name.replace("-", "_")).default
    return Option(name, type, f"{help} (default: {{default}})", metavar, default)


FIELDS: Final = (
    Option(
        "workspace-agents",
        SWITCH,
        "let tasks also use the agents and skills in .claude of the workspace and of your home directory",
        default=False,
    ),
    Option(
        "isolate",
        ISOLATION,
        "let each task work in a git worktree of its own, and make a patch of its changes (default: they share it)",
        "worktree",
    ),
    Option("model", TEXT, "model for requests that name none", "NAME"),
    Option(
        "state-dir",
        PATH,
        "directory that keeps tasks and usage across restarts (default: a temporary one, deleted at the end)",
        "DIR",
    ),
    _limit("max-concurrent-tasks", whole_number(1), "tasks that run at once; further tasks wait", "N"),
    Option("tls-cert", PATH, "PEM file with the certificate chain, to serve https", "FILE"),
    Option("tls-key", PATH, "PEM file with the certificate's key (default: it is in the file of --tls-cert)", "FILE"),
    _limit("max-queued-tasks", whole_number(0), "tasks that may wait; further ones are refused", "N"),
    _limit("max-queued-tasks-per-key", whole_number(0), "tasks of one key that may wait", "N"),
    _limit("max-followers", whole_number(1), "event streams of tasks that may be open", "N"),
    _limit("max-followers-per-task", whole_number(1), "event streams of one task that may be open", "N"),
    _limit("max-task-events", whole_number(1), "events of one task; one with more is stopped", "N"),
    _limit("max-task-event-bytes", whole_number(1), "size of one task's events; one with more is stopped", "BYTES"),
    _limit("max-artifacts", whole_number(0), "artifacts of one task; warnings name others", "N"),
    _limit("max-artifact-bytes", whole_number(0), "size of one task's artifacts; warnings name others", "BYTES"),
    _limit("min-free-bytes", whole_number(0), "space on the disk below which new work is refused", "BYTES"),
    Option(
        "keep-days",
        DAYS,
        "days after which ended tasks are deleted, with their events and idempotency keys (default: they are kept)",
        "DAYS",
    ),
    Option(
        "metrics-token",
        SECRET,
        "serve /metrics to those who send this token, of at least 16 characters; better set"
        f" {VARIABLE_PREFIX}METRICS_TOKEN, which other users cannot see (default: no metrics)",
        "TOKEN",
        secret=True,
    ),
    _limit("max-connections", whole_number(1), "connections that may be open", "N"),
    _limit("max-head-bytes", whole_number(1), "largest head of a request: its first line and headers", "BYTES"),
    _limit("max-body-bytes", whole_number(1), "largest body of a request", "BYTES"),
    _limit("head-timeout", SECONDS, "seconds that a client has to send the head of a request", "SECONDS"),
    _limit("body-timeout", SECONDS, "seconds in which the body of a request must make progress", "SECONDS"),
    _limit("shutdown-grace", SECONDS, "seconds that running tasks have to end when the server stops", "SECONDS"),
)
"""Settings that arrive in ``Settings`` under their own names."""

OPTIONS: Final = (
    Option("host", TEXT, "address to listen on (default: {default})", "HOST", "127.0.0.1"),
    Option(
        "allowed-host",
        TEXT,
        "host name under which clients reach the server, such as that of a proxy; may be repeated"
        " (default: loopback names and --host)",
        "NAME",
        (),
        repeatable=True,
    ),
    Option("port", whole_number(0, _MAX_PORT), "port to listen on, 0 for any (default: {default})", "PORT", 8123),
    Option("workspace", PATH, "directory in which tasks work (default: {default})", "DIR", "."),
    Option(
        "allow-home-workspace",
        SWITCH,
        "allow a workspace that contains your home directory: tasks can then read and change everything in it",
        default=False,
    ),
    Option(
        "upstream",
        TEXT,
        "anthropic, offline, or the URL of a Messages endpoint; may be repeated as MODEL=UPSTREAM, with a name"
        " or a pattern such as 'local-*' (default: anthropic if ANTHROPIC_API_KEY is set, else offline)",
        "UPSTREAM",
        (),
        repeatable=True,
    ),
    Option(
        "upstream-key",
        TEXT,
        "key for the upstream at a URL, as MODEL=KEY with the MODEL of --upstream, or * if it has none; better set"
        f" {VARIABLE_PREFIX}UPSTREAM_KEY, which other users cannot see",
        "KEY",
        (),
        repeatable=True,
        secret=True,
    ),
    Option(
        "prices",
        PATH,
        "TOML or JSON file with the prices of models that the server does not know; it refuses other models",
        "FILE",
    ),
    Option(
        "sandbox",
        SWITCH,
        "run each task in namespaces of its own, in which it can write to the workspace only and reach the model only;"
        " needs Linux and bubblewrap (default: on, unless --host is a loopback address)",
    ),
    Option(
        "allow-host",
        HOST,
        "host that sandboxed tasks may connect to: NAME, *.NAME or NAME:PORT; may be repeated",
        "HOST",
        (),
        repeatable=True,
    ),
    Option(
        "allow-read",
        PATH,
        "file or directory that sandboxed tasks may read, such as that of a compiler; may be repeated",
        "PATH",
        (),
        repeatable=True,
    ),
    Option(
        "log-json",
        SWITCH,
        "log to stderr, one JSON object a line, with the IDs of requests, tasks and keys; needs a key, and shows none",
        default=False,
    ),
    Option(
        "api-key",
        TEXT,
        "key to accept; may be repeated. Other users can see it in the process list: prefer setting CLAUDE_API_KEY"
        " (default: those of 'claude-code-client keys', or a random one)",
        "KEY",
        (),
        repeatable=True,
        secret=True,
    ),
    *FIELDS,
)
