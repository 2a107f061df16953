"""Backups of a running server: complete, checked, private, restorable, and never over another file."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.servers.embedded_server import Running, serving
from support.servers.scripted_engine import DONE, ScriptedEngine, says

from claude_code_client._cli import cli
from claude_code_server.storage.schema import VERSION
from claude_code_server.storage.store import Store


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def server(tmp_path: Path, state: Path) -> Iterator[Running]:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    with serving(workspace, ScriptedEngine(says("a"), DONE), state_dir=state) as running:
        yield running


def back_up(state: Path, file: Path) -> int:
    return cli.main(["backup", "--state-dir", str(state), str(file)])


def test_a_backup_of_a_running_server_can_be_restored(
    server: Running, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "backup.sqlite3"
    with server.client() as client:
        before = client.post("/task", json={"description": "a"}).json()
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                client.post("/task", json={"description": "b"})

        worker = threading.Thread(target=work)
        worker.start()
        try:
            assert back_up(state, file) == 0
        finally:
            stop.set()
            worker.join()
    assert capsys.readouterr().out == f"{file}: {file.stat().st_size:,} bytes, checked\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"backup.sqlite3", "state", "workspace"}
    restored = tmp_path / "restored"
    restored.mkdir()
    file.rename(restored / "state.sqlite3")
    with (
        serving(tmp_path / "workspace", ScriptedEngine(DONE), state_dir=restored) as other,
        other.client() as client,
    ):
        assert client.get(f"/task/{before['id']}").json() == before


def test_no_file_is_replaced(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(state).close()
    (tmp_path / "other").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("other", "link"):
        assert back_up(state, tmp_path / name) == 1
        assert "exists: a backup replaces no file" in capsys.readouterr().err
    assert (tmp_path / "other").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_a_damaged_database_is_no_backup(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(state).close()
    file = state / "state.sqlite3"
    content = bytearray(file.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    file.write_bytes(content)
    assert back_up(state, tmp_path / "backup") == 1
    assert "no backup of" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_what_is_not_the_state_of_a_server_is_no_backup(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert back_up(state, tmp_path / "backup") == 1
    assert "state.sqlite3" in capsys.readouterr().err
    state.mkdir()
    with closing(sqlite3.connect(state / "state.sqlite3")) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    assert back_up(state, tmp_path / "backup") == 1
    assert f"version {VERSION + 1}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_the_file_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["backup", "--state-dir", "x"]) == 2
    assert "FILE" in capsys.readouterr().err
