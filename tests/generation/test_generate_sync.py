"""The synchronous client is generated from the asynchronous one."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.code_blocks import ROOT

CLIENT = Path("claude_code_client", "_client")
MODULES = sorted(path.name for path in (ROOT / CLIENT / "_async").glob("*.py"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy of the files that the script reads and writes."""
    for name in ("scripts/generate_sync.py", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("_async", "_sync"):
        shutil.copytree(ROOT / CLIENT / name, tmp_path / CLIENT / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def generate_sync(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/generate_sync.py", *arguments]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=60, check=False)


def contents(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*.py")}


@pytest.mark.slow
def test_committed_files_are_up_to_date_and_a_second_run_changes_nothing(checkout: Path) -> None:
    assert generate_sync(checkout, "--check").returncode == 0
    before = contents(checkout / CLIENT / "_sync")
    assert sorted(before) == MODULES
    assert generate_sync(checkout).returncode == 0
    assert contents(checkout / CLIENT / "_sync") == before


@pytest.mark.slow
def test_edited_file_fails_the_check_and_is_restored(checkout: Path) -> None:
    edited = checkout / CLIENT / "_sync" / "tasks.py"
    original = edited.read_text(encoding="utf-8")
    edited.write_text(original.replace("Return a task in its current state.", "Return a task."), encoding="utf-8")
    done = generate_sync(checkout, "--check")
    assert done.returncode == 1
    assert "_sync/tasks.py" in done.stderr
    assert "make generate" in done.stderr
    assert generate_sync(checkout).returncode == 0
    assert edited.read_text(encoding="utf-8") == original


@pytest.mark.slow
def test_surplus_and_missing_files_fail_the_check(checkout: Path) -> None:
    sync = checkout / CLIENT / "_sync"
    (sync / "surplus.py").touch()
    (sync / "streams.py").unlink()
    done = generate_sync(checkout, "--check")
    assert done.returncode == 1
    assert "_sync/surplus.py" in done.stderr
    assert "_sync/streams.py" in done.stderr
    assert generate_sync(checkout).returncode == 0
    assert sorted(contents(sync)) == MODULES


@pytest.mark.parametrize("name", MODULES)
def test_nothing_asynchronous_is_left(name: str) -> None:
    text = (ROOT / CLIENT / "_sync" / name).read_text(encoding="utf-8")
    assert text.startswith(f"# Generated from ../_async/{name} by `make generate`")
    code = text.partition("\n")[2]
    for word in ("async", "await", "Async"):
        assert word not in code.replace("_async/", ""), word
    ast.parse(text)
