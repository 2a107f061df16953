"""Artifact downloads: to the right place, whole and verified, or not at all."""

from __future__ import annotations

import asyncio
import copy
import errno
import hashlib
import inspect
import os
import pickle
import stat
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from support.clients.client_kinds import ClientKind, open_client_kind
from support.files import assert_untouched, file_names, old_file
from support.servers import raw_http, responses
from support.servers.embedded_server import KEY, Running
from support.servers.embedded_server import serving as embedded
from support.servers.scripted_downloads import DownloadScript, scripted_downloads
from support.servers.scripted_engine import ScriptedEngine

from claude_code_client import ClaudeClient, errors
from claude_code_client._client.artifact_reader import attach_reader
from claude_code_client._operations.download import MAX_DOWNLOAD_BYTES
from claude_code_client.models import MAX_READ_BYTES, AgenticTaskResponse, Artifact
from claude_code_server.domain.engine_protocol import Outcome
from claude_code_server.domain.entities import ArtifactFile
from claude_code_server.domain.usage import Usage

DATA = bytes(range(256)) * 40
LARGE = bytes(range(251)) * 33_423  # 8 MiB and a bit


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
        ("artifact", {"artifact": Artifact(path="x")}),
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


def a_task(both: ClientKind, script: DownloadScript, client: Any = None) -> AgenticTaskResponse:
    client = client or both.client(script.base_url)
    task: AgenticTaskResponse = both.call(client.get_task("task_1"))
    return attach_reader(task, client._connection)


def read(both: ClientKind, artifact: Artifact, **options: Any) -> Any:
    return both.call(artifact.read_bytes(**options) if both.kind == "sync" else artifact.aread_bytes(**options))


def test_artifact_read_bytes(both: ClientKind, script: DownloadScript) -> None:
    artifact = a_task(both, script).artifacts[0]
    assert read(both, artifact) == DATA
    assert read(both, artifact, max_bytes=len(DATA)) == DATA


def test_large_download_to_memory(both: ClientKind) -> None:
    with scripted_downloads(LARGE) as script:
        assert read(both, a_task(both, script).artifacts[0]) == LARGE


def test_download_to_memory_is_verified(both: ClientKind, script: DownloadScript) -> None:
    artifact = a_task(both, script).artifacts[0]
    with pytest.raises(errors.ArtifactTooLargeError):
        read(both, artifact, max_bytes=len(DATA) - 1)
    with pytest.raises(errors.InvalidRequestError) as caught:
        read(both, artifact, max_bytes=0)
    assert caught.value.param == "max_bytes"
    assert script.ranges == []
    for wrong in (DATA[:-1], DATA + b"x", b"x" + DATA[1:]):
        script.data = wrong
        with pytest.raises(errors.ArtifactMismatchError) as mismatch:
            read(both, artifact)
        assert mismatch.value.task_id == "task_1"


def test_read_bytes_of_an_async_clients_artifact_raises(script: DownloadScript) -> None:
    with open_client_kind("async") as both:
        artifact = a_task(both, script).artifacts[0]
        # No event loop runs here.
        assert artifact.read_bytes() == DATA

        async def main() -> None:
            with pytest.raises(errors.ConfigurationError, match="aread_bytes"):
                artifact.read_bytes()
            assert await asyncio.to_thread(artifact.read_bytes) == DATA
            assert await artifact.aread_bytes() == DATA

        asyncio.run(main())


def test_aread_bytes_of_a_sync_clients_artifact_raises(script: DownloadScript) -> None:
    with open_client_kind("sync") as both:
        artifact = a_task(both, script).artifacts[0]

        async def main() -> None:
            with pytest.raises(errors.ConfigurationError, match=r"to_thread\(artifact\.read_bytes\)"):
                await artifact.aread_bytes()
            assert await asyncio.to_thread(artifact.read_bytes) == DATA

        asyncio.run(main())


def test_origin_is_not_part_of_an_artifacts_value(both: ClientKind, script: DownloadScript, tmp_path: Path) -> None:
    task = a_task(both, script)
    artifact, by_hand = task.artifacts[0], script.artifact
    assert artifact == by_hand
    assert repr(artifact) == repr(by_hand)
    assert artifact.to_dict() == by_hand.to_dict()
    assert attrs.asdict(artifact) == attrs.asdict(by_hand)
    assert pickle.dumps(artifact) == pickle.dumps(by_hand)
    strangers: list[Artifact] = [
        by_hand,
        copy.copy(artifact),
        copy.deepcopy(artifact),
        copy.deepcopy(task).artifacts[0],
        pickle.loads(pickle.dumps(artifact)),
        pickle.loads(pickle.dumps(task)).artifacts[0],
    ]
    for stranger in strangers:
        assert stranger == artifact
        with pytest.raises(errors.ConfigurationError, match="download_artifact"):
            read(both, stranger)
        client = both.client(script.base_url)
        assert both.call(client.download_artifact(task, stranger, tmp_path)).read_bytes() == DATA


def test_exceptions_show_no_client_internals(both: ClientKind, script: DownloadScript, tmp_path: Path) -> None:
    """A crash reporter sees neither the key nor anything else inside a client."""
    client = both.client(script.base_url, api_key="sk-proj-CANARY")
    task = a_task(both, script, client)
    script.data = DATA[::-1]
    calls: list[tuple[Callable[[], Any], set[str]]] = [
        (lambda: read(both, task.artifacts[0]), {"models.py", "tracebacks.py"}),
        (lambda: both.call(client.download_artifact(task, "art_1", tmp_path)), {"tracebacks.py"}),
        (lambda: both.call(client.download_artifact(task, "art_1", tmp_path / "nowhere" / "x")), {"tracebacks.py"}),
    ]
    for call, files in calls:
        with pytest.raises(errors.ArtifactError) as caught:
            call()
        assert caught.value.__context__ is None
        frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
        ours = [frame for frame in frames if "claude_code_client" in frame.f_code.co_filename]
        assert {Path(frame.f_code.co_filename).name for frame in ours} == files
        for frame in ours:
            assert not {type(value).__name__ for value in frame.f_locals.values()} - {"Artifact", "int", "function"}
        assert "CANARY" not in repr(vars(caught.value)) + repr(pickle.dumps(caught.value)) + repr(task)


def test_storage_error_keeps_errno_when_copied(script: DownloadScript, tmp_path: Path) -> None:
    with open_client_kind("sync") as both, pytest.raises(errors.StorageError) as caught:
        download(both, script, tmp_path / "nowhere" / "x")
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value)), copy.deepcopy(caught.value)):
        assert (error.errno, error.task_id) == (errno.ENOENT, "task_1")
        assert str(error) == str(caught.value)


def test_closed_client_cannot_read_artifacts(both: ClientKind, script: DownloadScript) -> None:
    client = both.client(script.base_url)
    artifact = a_task(both, script, client).artifacts[0]
    both.call(client.close())
    with pytest.raises(errors.ConfigurationError, match="closed"):
        read(both, artifact)
    assert script.ranges == []


def test_artifacts_outlive_their_client(both: ClientKind, script: DownloadScript) -> None:
    client = both.client_class(api_key=KEY, base_url=script.base_url)
    artifact = a_task(both, script, client).artifacts[0]
    del client
    assert read(both, artifact) == DATA


def test_artifacts_of_every_task_can_be_read(both: ClientKind, script: DownloadScript) -> None:
    ended = responses.task(artifacts=[script.record])
    running = responses.task("running", artifacts=[script.record])

    def handle(request: raw_http.Request) -> Any:
        match request.method, request.path:
            case "POST", "/v1/task":
                return raw_http.response(200, ended)
            case "GET", "/v1/task":
                return raw_http.response(200, {"data": [ended, running], "next_cursor": None})
            case "POST", _:
                return raw_http.response(200, ended)
        return script(request)

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url)
        handle_ = both.call(client.submit_task("x"))
        tasks = [
            both.call(client.get_task("task_1")),
            both.call(client.execute_task("x")),
            both.call(client.cancel_task("task_1")),
            *both.each(client.list_tasks()),
            handle_.task,
            both.call(handle_.wait()),
            both.call(handle_.refresh()),
        ]
        ended["status"] = "cost_exceeded"
        with pytest.raises(errors.CostExceededError) as caught:
            both.call(client.execute_task("x"))
        assert caught.value.task is not None
        for task in [*tasks, caught.value.task]:
            assert read(both, task.artifacts[0]) == DATA


# ---- the embedded server

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
