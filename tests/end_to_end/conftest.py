"""Fixtures for whole runs: client, HTTP, server, the real Claude Code, and the offline model or a scripted endpoint."""

from __future__ import annotations

import itertools
import tempfile
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.processes import no_process_left
from support.servers.messages_endpoint import ScriptedMessages
from support.servers.server_process import ServerProcess, server_process

from claude_code_client import ClaudeClient

CANARY = "sk-ant-CANARY-0123456789"
"""Key of the scripted upstream."""
SOURCES = {
    "src/app.py": '"""The app."""\n\n\ndef run() -> int:\n    """Run it."""\n    return 1  # TODO: more\n',
    "src/shop/__init__.py": "",
    "src/shop/cart.py": '"""The cart."""\n\n\nclass Cart:\n    """Holds goods."""\n',
    "src/notes.txt": "No Python.\n",
    "README.md": "# Sample\n",
}


def crossed(short: Collection[str], **dimensions: Mapping[str, Any]) -> pytest.MarkDecorator:
    """Run a test with every combination of values, given by their names; mark those not in ``short`` as long.

    The short ones show each value of each dimension at least once, because every run of Claude Code costs a second.
    """
    return pytest.mark.parametrize(
        list(dimensions),
        [
            pytest.param(
                *(values[name] for values, name in zip(dimensions.values(), names, strict=True)),
                id=(combination := "-".join(names)),
                marks=() if combination in short else pytest.mark.long,
            )
            for names in itertools.product(*dimensions.values())
        ],
        indirect=["both"],
    )


CLIENTS = {"sync": "sync", "async": "async"}
FORMS = {"whole": False, "streamed": True}
CLIENTS_AND_FORMS = crossed(["sync-whole", "async-streamed"], both=CLIENTS, streamed=FORMS)
ONE_CLIENT = crossed(["sync"], both=CLIENTS)
"""For what the server or Claude Code does, whichever client asks for it."""


def fill(folder: Path) -> Path:
    """Write three Python files to src/ and two other files; return the folder."""
    for name, text in SOURCES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder with source files."""
    return fill(tmp_path / "workspace")


@dataclass(frozen=True)
class SharedServer:
    """A server that many tests use, each in its own folder of the server's workspace."""

    base_url: str
    folder: Path

    @property
    def name(self) -> str:
        """The folder as ``working_directory``."""
        return self.folder.name


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(tmp_path_factory.mktemp("shared"), api_keys=[KEY]) as server:
        yield server
        assert server.stop() == 0


@pytest.fixture
def shared_server(_server: ServerProcess) -> SharedServer:
    return SharedServer(_server.base_url, fill(_server.workspace / uuid.uuid4().hex))


@dataclass(frozen=True)
class Upstream:
    """A scripted endpoint and a server that uses it, for the group ``upstream``: each start costs seconds."""

    endpoint: ScriptedMessages
    local: ClaudeClient
    workspace: Path

    def client(self, both: ClientKind) -> Any:
        assert self.local._server is not None
        return both.client(self.local.base_url, api_key=self.local._server.api_key)


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    workspace = fill(tmp_path_factory.mktemp("workspace"))
    with (
        ScriptedMessages([]) as endpoint,
        ClaudeClient.local(workspace, upstream=endpoint.url, anthropic_api_key=CANARY) as local,
    ):
        yield Upstream(endpoint, local, workspace)


@pytest.fixture
def temp_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of every process that the test starts."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture(autouse=True)
def no_leftover_processes() -> Iterator[None]:
    """Fail if a test leaves a process behind."""
    with no_process_left():
        yield
