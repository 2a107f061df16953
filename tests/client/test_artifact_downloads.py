"""Artifact downloads: to the right place, whole and verified, or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from support.clients.client_kinds import ClientKind
from support.files import assert_untouched, file_names, old_file
from support.servers import raw_http
from support.servers.embedded_server import KEY, Running
from support.servers.embedded_server import serving as embedded
from support.servers.scripted_downloads import DownloadScript, scripted_downloads
from support.servers.scripted_engine import ScriptedEngine

from claude_code_client import ClaudeClient, errors
from claude_code_client._client.artifact_reader import attach_reader
from claude_code_client.models import MAX_DOWNLOAD_BYTES, MAX_READ_BYTES, Artifact
from claude_code_server.domain.engine_protocol import Outcome
from claude_code_server.domain.entities import ArtifactFile
from claude_code_server.domain.usage import Usage

DATA = bytes(range(256)) * 40
LARGE = bytes(range(251)) * 33_423  # 8 MiB and a bit


def read(both: ClientKind, artifact: Artifact) -> Any:
    return both.call(artifact.read_bytes() if both.kind == "sync" else artifact.aread_bytes())


@pytest.fixture
def script() -> Iterator[DownloadScript]:
    with scripted_downloads(DATA) as running:
        yield running


def download(both: ClientKind, script: DownloadScript, to: Any, **options: Any) -> Any:
    client = both.client(script.base_url)
    return both.call(client.download_artifact("task_1", options.pop("artifact", script.artifact), to, **options))


# ---- where it is stored


def test_download_to_a_file(both: ClientKind, script: DownloadScript, tmp_path: Path) -> None:
    place = download(both, script, tmp_path / "x.bin")
    assert place == tmp_path / "x.bin"
    assert place.read_bytes() == DATA
    assert file_names(tmp_path) == ["x.bin"]


def test_new_file_follows_the_umask(both: ClientKind, script: DownloadScript, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        place = download(both, script, f"{tmp_path}/new/")
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o750


def test_download_to_a_relative_path(
    both: ClientKind, script: DownloadScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert download(both, script, "x.bin") == tmp_path / "x.bin"
    assert download(both, script, to="sub/") == tmp_path / "sub" / "docs" / "report.bin"
    assert (tmp_path / "x.bin").read_bytes() == (tmp_path / "sub" / "docs" / "report.bin").read_bytes() == DATA


def test_download_into_a_directory(both: ClientKind, script: DownloadScript, tmp_path: Path) -> None:
    assert download(both, script, tmp_path).read_bytes() == DATA
    assert download(both, script, tmp_path) == tmp_path / "docs" / "report.bin"
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["docs", "docs/report.bin"]


def test_download_creates_directories(both: ClientKind, tmp_path: Path) -> None:
    with scripted_downloads(DATA, path="a/b/c/ü 日本/x") as script:
        place = download(both, script, f"{tmp_path}/new/er/")
    assert place == tmp_path / "new" / "er" / "a" / "b" / "c" / "ü 日本" / "x"
    assert place.read_bytes() == DATA


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o755, 0o6755])
def test_replaced_file_keeps_its_mode(both: ClientKind, script: DownloadScript, tmp_path: Path, mode: int) -> None:
    old = old_file(tmp_path)
    old.chmod(mode)
    place = download(both, script, old)
    assert place.read_bytes() == DATA
    # No download gives the right to be somebody else.
    assert stat.S_IMODE(place.stat().st_mode) == mode & 0o777
    assert file_names(tmp_path) == [old.name]


def test_symlinks_in_the_users_path_are_followed(both: ClientKind, script: DownloadScript, tmp_path: Path) -> None:
    (tmp_path / "real" / "docs").mkdir(parents=True)
    old = old_file(tmp_path / "real")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "file").symlink_to(old)
    (tmp_path / "dangling").symlink_to(tmp_path / "real" / "new")
    assert download(both, script, tmp_path / "folder") == tmp_path / "folder" / "docs" / "report.bin"
    assert (tmp_path / "real" / "docs" / "report.bin").read_bytes() == DATA
    assert download(both, script, tmp_path / "file") == tmp_path / "file"
    assert download(both, script, tmp_path / "dangling") == tmp_path / "dangling"
    assert old.read_bytes() == (tmp_path / "real" / "new").read_bytes() == DATA
    assert all((tmp_path / name).is_symlink() for name in ("folder", "file", "dangling"))


def test_empty_artifact(both: ClientKind, tmp_path: Path) -> None:
    seen: list[Any] = []
    with scripted_downloads(b"") as script:
        place = download(both, script, tmp_path / "x", on_progress=lambda *at: seen.append(at))
    assert place.read_bytes() == b""
    assert seen == []


def test_large_download_reports_progress(both: ClientKind, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    async def wait(done: int, total: int) -> None:
        await asyncio.sleep(0)
        seen.append((done, total))

    def note(done: int, total: int) -> None:
        seen.append((done, total))

    with scripted_downloads(LARGE) as script:
        for callback in (note, wait) if both.kind == "async" else (note,):
            seen.clear()
            place = download(both, script, tmp_path, on_progress=callback)
            assert place.read_bytes() == LARGE
            assert len(seen) >= 8
            assert seen == sorted(set(seen))
            assert {total for _, total in seen} == {len(LARGE)}
            assert seen[-1] == (len(LARGE), len(LARGE))


def test_tasks_and_artifacts_are_accepted_by_id(both: ClientKind, script: DownloadScript, tmp_path: Path) -> None:
    client = both.client(script.base_url)
    task = both.call(client.get_task("task_1"))
    for number, (one, artifact) in enumerate(
        [(task, task.artifacts[0]), ("task_1", task.artifacts[0]), (task, "art_1"), ("task_1", "art_1")]
    ):
        place = both.call(client.download_artifact(one, artifact, tmp_path / str(number)))
        assert place.read_bytes() == DATA


def test_task_is_requested_only_for_unknown_artifacts(both: ClientKind, tmp_path: Path) -> None:
    requested: list[str] = []

    def handle(request: raw_http.Request) -> Any:
        requested.append(request.path)
        return script(request)

    with scripted_downloads(DATA) as script, raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url)
        task = both.call(client.get_task("task_1"))
        running = attrs.evolve(task, artifacts=[])
        bare = Artifact(id="art_1", path="elsewhere")
        for one, artifact, requests in (
            (task, "art_1", 1),
            ("task_1", task.artifacts[0], 1),
            ("task_1", "art_1", 2),
            (running, "art_1", 2),
            ("task_1", bare, 2),
        ):
            requested.clear()
            assert both.call(client.download_artifact(one, artifact, f"{tmp_path}/")).name == "report.bin"
            assert len(requested) == requests


def test_unknown_artifact(both: ClientKind, script: DownloadScript, tmp_path: Path) -> None:
    with assert_untouched(tmp_path), pytest.raises(errors.NotFoundError, match="art_2") as caught:
        download(both, script, tmp_path, artifact="art_2")
    assert caught.value.task_id == "task_1"
    assert script.ranges == []


@pytest.mark.parametrize(
    ("param", "arguments"),
    [
        ("task", {"task": ""}),
        ("task", {"task": None}),
        ("task", {"task": ".."}),
        ("artifact", {"artifact": 7}),
        ("artifact", {"artifact": "a\nb"}),
        ("to", {"to": ""}),
        ("to", {"to": "a\0b"}),
        ("to", {"to": b"x"}),
        ("to", {"to": None}),
        ("to", {"to": "\ud800"}),
        ("max_bytes", {"max_bytes": 0}),
        ("max_bytes", {"max_bytes": -1}),
        ("max_bytes", {"max_bytes": 1.5}),
        ("max_bytes", {"max_bytes": True}),
        ("max_bytes", {"max_bytes": None}),
        ("on_progress", {"on_progress": "x"}),
        ("timeout", {"timeout": 0}),
    ],
)
def test_invalid_arguments(both: ClientKind, tmp_path: Path, param: str, arguments: dict[str, Any]) -> None:
    client = both.client("http://127.0.0.1:9")
    usual = {"task": "task_1", "artifact": "art_1", "to": tmp_path}
    with pytest.raises((errors.InvalidRequestError, errors.ConfigurationError)) as caught:
        both.call(client.download_artifact(**usual | arguments))
    assert caught.value.param == param
    assert file_names(tmp_path) == []


def test_coroutine_callbacks_require_the_async_client(tmp_path: Path) -> None:
    async def wait(done: int, total: int) -> None: ...

    with ClaudeClient("sk-proj-x", "http://127.0.0.1:9") as client, pytest.raises(errors.InvalidRequestError) as caught:
        client.download_artifact("task_1", "art_1", tmp_path, on_progress=wait)
    assert caught.value.param == "on_progress"


def test_limits_match_the_documentation() -> None:
    assert (MAX_DOWNLOAD_BYTES, MAX_READ_BYTES) == (2**30, 2**28)
    assert inspect.signature(ClaudeClient.download_artifact).parameters["max_bytes"].default == MAX_DOWNLOAD_BYTES
    assert inspect.signature(Artifact.read_bytes).parameters["max_bytes"].default == MAX_READ_BYTES
    assert "1 GiB" in (ClaudeClient.download_artifact.__doc__ or "")
    assert "256 MiB" in (Artifact.read_bytes.__doc__ or "")


# ---- in memory


FILES = {
    "report.md": b"# All is well\n",
    "docs/api/deep.bin": bytes(range(256)) * 5000,
    "empty": b"",
    "ü/日本.txt": "ü".encode(),
}


@pytest.fixture
def whole_server(tmp_path: Path) -> Iterator[Running]:
    workspace = tmp_path / "workspace"
    found = []
    for path, data in FILES.items():
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        found.append(ArtifactFile(path, len(data), digest, "2026-11-22T12:00:00.000Z"))
    engine = ScriptedEngine(Outcome("completed", summary="Done.", artifacts=tuple(found), usage=Usage(1, 1, 0.0)))
    with embedded(workspace, engine) as running:
        yield running


def test_artifacts_from_the_embedded_server(both: ClientKind, whole_server: Running, tmp_path: Path) -> None:
    client = both.client(whole_server.base_url, api_key=KEY)
    task = both.call(client.execute_task("Write the files."))
    assert {artifact.path for artifact in task.artifacts} == set(FILES)
    target = tmp_path / "target"
    target.mkdir()
    for artifact in attach_reader(task, client._connection).artifacts:
        assert both.call(client.download_artifact(task, artifact, target)) == target / artifact.path
        assert (target / artifact.path).read_bytes() == FILES[artifact.path]
        assert read(both, artifact) == FILES[artifact.path]
        by_id = both.call(client.download_artifact(task.id, artifact.id, f"{tmp_path}/by id/"))
        assert by_id.read_bytes() == FILES[artifact.path]
    (tmp_path / "workspace" / "report.md").write_bytes(b"# All is lost\n")
    with assert_untouched(tmp_path), pytest.raises(errors.NotFoundError, match="changed"):
        both.call(client.download_artifact(task, task.artifacts[0], target))
