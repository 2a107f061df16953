"""Fixtures for whole runs: client, HTTP, server, the real Claude Code, and the offline model or a scripted endpoint."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from support.both import KEY
from support.embedded import embedded_server

SOURCES = {
    "src/app.py": '"""The app."""\n\n\ndef run() -> int:\n    """Run it."""\n    return 1  # TODO: more\n',
    "src/shop/__init__.py": "",
    "src/shop/cart.py": '"""The cart."""\n\n\nclass Cart:\n    """Holds goods."""\n',
    "src/notes.txt": "No Python.\n",
    "README.md": "# Sample\n",
}


def fill(folder: Path) -> Path:
    """Three Python files in src/, and others."""
    for name, text in SOURCES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A filled folder."""
    return fill(tmp_path / "workspace")


@dataclass(frozen=True)
class Shared:
    """A server that many tests use, each in a folder of its own in its workspace."""

    base_url: str
    folder: Path

    @property
    def name(self) -> str:
        """For ``working_directory``."""
        return self.folder.name


@pytest.fixture(scope="session")
def _shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    root = tmp_path_factory.mktemp("shared")
    with embedded_server(root, api_keys=[KEY]) as base_url:
        yield base_url, root


@pytest.fixture
def shared(_shared_server: tuple[str, Path]) -> Shared:
    base_url, root = _shared_server
    return Shared(base_url, fill(root / uuid.uuid4().hex))


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of everything that is started."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture(autouse=True)
def nothing_left(_shared_server: tuple[str, Path]) -> Iterator[None]:
    """No test may leave a process behind."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    yield
    left = [process for process in psutil.Process().children(recursive=True) if process.pid not in before]
    _, alive = psutil.wait_procs(left, timeout=5)
    assert alive == []
