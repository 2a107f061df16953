"""Whole runs: client, HTTP, server, the real Claude Code, and the offline model or a scripted endpoint."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

SOURCES = {
    "src/app.py": '"""The app."""\n\n\ndef run() -> int:\n    """Run it."""\n    return 1  # TODO: more\n',
    "src/shop/__init__.py": "",
    "src/shop/cart.py": '"""The cart."""\n\n\nclass Cart:\n    """Holds goods."""\n',
    "src/notes.txt": "No Python.\n",
    "README.md": "# Sample\n",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder with three Python files in src/."""
    folder = tmp_path / "workspace"
    for name, text in SOURCES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of everything that is started."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No test may leave a process behind."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    yield
    left = [process for process in psutil.Process().children(recursive=True) if process.pid not in before]
    _, alive = psutil.wait_procs(left, timeout=5)
    assert alive == []
