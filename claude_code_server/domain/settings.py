"""Settings of a server."""

from __future__ import annotations

from pathlib import Path

import attrs

from .model_catalog import ModelCatalog
from .upstream_rules import UpstreamRule


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
    upstream_rules: tuple[UpstreamRule, ...] = ()
    """Upstreams by model, in place of ``upstream``; models that none is about are refused."""
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
    isolate: str | None = None
    """``"worktree"`` if each task works in a git worktree of its own, and its changes become a patch; None if all tasks
    share the workspace."""
    max_concurrent_tasks: int = 4
    """Tasks that run concurrently; further tasks wait in the queue, and their timeouts have not started."""
    max_queued_tasks: int = 10_000
    """Tasks that may wait; further ones are refused with status 503."""
    max_queued_tasks_per_key: int = 5_000
    """Tasks of one key that may wait."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names under which clients reach the server, besides loopback names and the address it listens on."""
    head_timeout: float = 10.0
    """Time that a client has to send the head of a request."""
    body_timeout: float = 30.0
    """Time in which the body of a request must make progress."""
    max_connections: int = 1000
    """Connections that may be open; at most half of the process's file descriptors."""
    max_followers: int = 750
    """Event streams of tasks that may be open; at most three quarters of the connections that may be open."""
    max_followers_per_task: int = 500
    """Event streams of one task that may be open."""
    max_head_bytes: int = 65_536
    """Size of a request's head: its first line and headers."""
    max_body_bytes: int = 10_000_000
    """Size of a request's body."""
    max_task_events: int = 100_000
    """Events of one task, without the terminal one; a task that exceeds it is stopped, and ends as failed."""
    max_task_event_bytes: int = 100_000_000
    """Size of the events of one task, as JSON; a task that exceeds it is stopped, and ends as failed."""
    max_artifacts: int = 1_000
    """Artifacts of one task; warnings of the task name some of the files beyond."""
    max_artifact_bytes: int = 4_000_000_000
    """Size of the artifacts of one task; warnings of the task name some of the files beyond."""
    tls_cert: Path | None = None
    """File with the certificate chain; None for plain HTTP."""
    tls_key: Path | None = None
    """File with the key of the certificate; None if it is in the same file."""
    metrics_token: str | None = attrs.field(default=None, repr=False)
    """Token that ``/metrics`` requires; None for no metrics."""
    max_wait: float = 60.0
    """Limit on ``Prefer: wait=N``."""
    min_free_bytes: int = 200_000_000
    """Space on the disks of the state directory and the workspace below which new work is refused with status 503."""
    keep_days: float | None = None
    """Days after which ended tasks are deleted, with their events and idempotency keys; None to keep them."""
    ping_interval: float = 15.0
    """Interval of the pings in a stream without events."""
    cancel_grace: float = 10.0
    """Time that a cancelled run has to end by itself."""
    shutdown_grace: float = 5.0
    """Seconds that running tasks have to end when the server shuts down."""
