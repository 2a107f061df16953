"""Server, API key and workspace that the code blocks of the documents assume."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.code_blocks import ROOT
from support.processes import no_process_left
from support.servers.server_process import ServerProcess, server_process

KEYS = ("sk-proj-your-key", "sk-proj-...", "...")
"""API keys in the documents' examples."""
SOURCES = {
    "src/app.py": '"""The app."""\n\n\ndef run() -> int:\n    """Run it."""\n    return 1  # TODO: more\n',
    "src/api.py": '"""The API."""\n\n\ndef get(path: str) -> str:\n    """What is at a path."""\n    return path\n',
    "api.py": "def get():\n    return 1\n",
    "models.py": "class Model:\n    pass\n",
    "database.py": "def connect():\n    return 1  # FIXME: pool\n",
    "README.md": "# Sample\n\nA sample.\n",
}


@pytest.fixture(scope="session")
def docs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose workspace has the sources that the documents mention."""
    with server_process(tmp_path_factory.mktemp("docs"), api_keys=KEYS) as server:
        for name, text in SOURCES.items():
            (server.workspace / name).parent.mkdir(exist_ok=True)
            (server.workspace / name).write_text(text, encoding="utf-8")
        (server.workspace / ".env").write_text(f"CLAUDE_API_KEY={KEYS[0]}\n", encoding="utf-8")
        yield server
        assert server.stop() == 0


@pytest.fixture
def docs_environment(docs_server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> ServerProcess:
    """The workspace as current directory, and the environment variables that the documents mention."""
    monkeypatch.chdir(docs_server.workspace)
    monkeypatch.setenv("CLAUDE_API_KEY", KEYS[0])
    monkeypatch.setenv("CLAUDE_BASE_URL", docs_server.base_url)
    return docs_server


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Undo the log level that a code block sets, which other tests would inherit."""
    logger = logging.getLogger("claude_code_client")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(autouse=True)
def no_leftover_processes() -> Iterator[None]:
    """Fail if a test leaves a process behind."""
    with no_process_left():
        yield
