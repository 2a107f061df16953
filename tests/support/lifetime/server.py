"""Server of the campaign: it bills tasks and completions, and its tasks leave a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attrs

from claude_code_server.domain.engine_protocol import CancelToken, EventSink, Outcome, TaskSpec
from claude_code_server.domain.entities import ArtifactFile
from support.clients.client_kinds import KEY
from support.servers.context_server import ContextEngine
from support.servers.embedded_server import serving
from support.servers.messages_endpoint import ScriptedMessages, message

CONTENT = b"A report.\n" * 2000
_DIGEST = hashlib.sha256(CONTENT).hexdigest()


class ReportEngine(ContextEngine):
    """Engine whose tasks leave the file report.md."""

    async def run(self, spec: TaskSpec, events: EventSink, cancellation: CancelToken) -> Outcome:
        outcome = await super().run(spec, events, cancellation)
        file = ArtifactFile("report.md", len(CONTENT), _DIGEST, "2026-11-22T12:00:00.000Z")
        return attrs.evolve(outcome, artifacts=(file,))


@dataclass(frozen=True)
class BillingServer:
    """Running server, and its database."""

    base_url: str
    database: Path


@contextmanager
def billing_server(folder: Path) -> Iterator[BillingServer]:
    """Run a server whose upstream charges for completions."""
    (folder / "report.md").write_bytes(CONTENT)
    options: dict[str, Any] = {"api_keys": (KEY,), "max_concurrent_tasks": 10_000, "model": "sonnet"}
    with (
        ScriptedMessages(lambda _: message("Paid.", input_tokens=1000, output_tokens=100)) as upstream,
        serving(folder, ReportEngine(), state_dir=folder / "state", upstream=upstream.url, **options) as running,
    ):
        yield BillingServer(running.base_url, folder / "state" / "state.sqlite3")
