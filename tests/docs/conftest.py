"""What the code blocks of the documents take for granted: a server, a key, a workspace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from support.code_blocks import ROOT
from support.embedded import embedded_server

from claude_code_client import ClaudeClient

KEYS = ("sk-proj-your-key", "sk-proj-...", "...")
"""The keys that the documents write."""
SOURCES = {
    "src/app.py": '"""The app."""\n\n\ndef run() -> int:\n    """Run it."""\n    return 1  # TODO: more\n',
    "src/api.py": '"""The API."""\n\n\ndef get(path: str) -> str:\n    """What is at a path."""\n    return path\n',
    "api.py": "def get():\n    return 1\n",
    "models.py": "class Model:\n    pass\n",
    "database.py": "def connect():\n    return 1  # FIXME: pool\n",
    "README.md": "# Sample\n\nA sample.\n",
}


@dataclass(frozen=True)
class Place:
    """Where blocks run."""

    base_url: str
    workspace: Path


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("workspace")
    for name, text in SOURCES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / ".env").write_text(f"CLAUDE_API_KEY={KEYS[0]}\n", encoding="utf-8")
    with embedded_server(folder, api_keys=KEYS) as base_url:
        yield Place(base_url, folder)


@pytest.fixture
def in_place(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """In the workspace, with the environment variables set that the documents name."""
    monkeypatch.chdir(place.workspace)
    monkeypatch.setenv("CLAUDE_API_KEY", KEYS[0])
    monkeypatch.setenv("CLAUDE_BASE_URL", place.base_url)
    return place


@pytest.fixture
def client(in_place: Place) -> Iterator[ClaudeClient]:
    with ClaudeClient() as client:
        yield client


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(autouse=True)
def nothing_left(place: Place) -> Iterator[None]:
    before = {process.pid for process in psutil.Process(os.getpid()).children()}
    yield
    left = [process for process in psutil.Process(os.getpid()).children() if process.pid not in before]
    assert psutil.wait_procs(left, timeout=5)[1] == []
