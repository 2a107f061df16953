"""Settings of a server."""

from __future__ import annotations

from pathlib import Path

import attrs

from .model_catalog import ModelCatalog


@attrs.frozen(kw_only=True)
class Settings:
    """Settings of a server, fixed when it starts. Sizes are in bytes, times in seconds."""

    workspace: Path
    """Directory in which tasks work; must exist."""
    api_keys: tuple[str, ...] = attrs.field(repr=False)
    """Keys that the server accepts."""
    state_dir: Path | None = None
    """Directory of the database; None for a temporary directory that is deleted at shutdown."""
    upstream: str = "offline"
    """``anthropic``, ``offline`` or the URL of a Messages endpoint."""
    upstream_key: str | None = attrs.field(default=None, repr=False)
    model: str | None = None
    """Alias or ID of the model for requests that name none; None for the default of the model catalog."""
    catalog: ModelCatalog = attrs.field(factory=ModelCatalog)
    """Models with their prices."""
    tools: frozenset[str] | None = None
    """Tools that tasks may use; None for all."""
    workspace_agents: bool = False
    """True if tasks may also use the agents and skills in ``.claude`` of the workspace and of the user's home."""
    sandbox: bool = False
    """True if each task runs in namespaces of its own, in which only the workspace can be written."""
    sandbox_paths: tuple[Path, ...] = ()
    """Further files and directories that tasks in a sandbox may read, such as those of a compiler."""
    sandbox_hosts: tuple[str, ...] = ()
    """Hosts that tasks in a sandbox may reach: ``NAME``, ``*.NAME`` or ``NAME:PORT``."""
    max_concurrent_tasks: int = 4
    """Tasks that run concurrently; further tasks stay pending, and their timeouts have not started."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names under which clients reach the server, besides loopback names and the address it listens on."""
    head_timeout: float = 10.0
    """Time that a client has to send the head of a request."""
    body_timeout: float = 30.0
    """Time in which the body of a request must make progress."""
    max_connections: int = 1000
    """Connections that may be open; at most half of the process's file descriptors."""
    max_body_bytes: int = 10_000_000
    max_wait: float = 60.0
    """Limit on ``Prefer: wait=N``."""
    ping_interval: float = 15.0
    """Interval of the pings in a stream without events."""
    cancel_grace: float = 10.0
    """Time that a cancelled run has to end by itself."""
    shutdown_grace: float = 5.0
    """Seconds that running tasks have to end when the server shuts down."""
