"""What a server is told when it starts."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Sizes in bytes, times in seconds."""

    workspace: Path
    """Where tasks work; must exist."""
    api_keys: tuple[str, ...] = field(repr=False)
    """Whoever sends one of these is let in."""
    state_dir: Path | None = None
    """Where the database is; a temporary folder, removed at the end, when None."""
    upstream: str = "offline"
    """``anthropic``, ``offline`` or the address of a Messages endpoint."""
    upstream_key: str | None = field(default=None, repr=False)
    model: str | None = None
    """What is used when a request names no model: an alias or an id."""
    tools: frozenset[str] | None = None
    """The tools that the keys may use; every known one when None."""
    max_concurrent_tasks: int = 4
    """Further tasks stay pending; a task's timeout counts from when it starts to run."""
    max_body_bytes: int = 10_000_000
    max_wait: float = 60.0
    """The longest that ``Prefer: wait=N`` may hold an answer back."""
    ping_interval: float = 15.0
    stop_grace: float = 10.0
    """How long a run that was asked to stop may take before it is broken off."""
    shutdown_grace: float = 5.0
    """The same when the server itself stops."""
