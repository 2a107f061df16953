"""Artifacts: downloaded to where they belong and nowhere else, whole and verified, or not at all."""

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
from http_server import KEY, Running
from http_server import serving as embedded
from scripted_engine import ScriptedEngine
from support import raw, wire
from support.artifact_server import Shelf, names, old_file, serving, untouched
from support.both import Both, open_both

from claude_code_client import ClaudeClient, errors
from claude_code_client._client.artifact_reader import attach_reader
from claude_code_client._operations.download import MAX_DOWNLOAD_BYTES
from claude_code_client.models import MAX_READ_BYTES, AgenticTaskResponse, Artifact
from claude_code_server.engine.base import ArtifactFound, Outcome, Spent

DATA = bytes(range(256)) * 40
LARGE = bytes(range(251)) * 33_423  # 8 MiB and a bit


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with serving(DATA) as running:
        yield running


def download(both: Both, shelf: Shelf, to: Any, **options: Any) -> Any:
    client = both.client(shelf.base_url)
    return both.call(client.download_artifact("task_1", options.pop("artifact", shelf.artifact), to, **options))


# ---- where it is stored


def test_to_a_file(both: Both, shelf: Shelf, tmp_path: Path) -> None:
    place = download(both, shelf, tmp_path / "x.bin")
    assert place == tmp_path / "x.bin"
    assert place.read_bytes() == DATA
    assert names(tmp_path) == ["x.bin"]


def test_a_new_file_has_the_mode_of_the_umask(both: Both, shelf: Shelf, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        place = download(both, shelf, f"{tmp_path}/new/")
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o750


def test_a_relative_path(both: Both, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert download(both, shelf, "x.bin") == tmp_path / "x.bin"
    assert download(both, shelf, to="sub/") == tmp_path / "sub" / "docs" / "report.bin"
    assert (tmp_path / "x.bin").read_bytes() == (tmp_path / "sub" / "docs" / "report.bin").read_bytes() == DATA


def test_into_a_folder_by_its_own_path(both: Both, shelf: Shelf, tmp_path: Path) -> None:
    assert download(both, shelf, tmp_path).read_bytes() == DATA
    assert download(both, shelf, tmp_path) == tmp_path / "docs" / "report.bin"
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["docs", "docs/report.bin"]


def test_into_new_folders(both: Both, tmp_path: Path) -> None:
    with serving(DATA, path="a/b/c/ü 日本/x") as shelf:
        place = download(both, shelf, f"{tmp_path}/new/er/")
    assert place == tmp_path / "new" / "er" / "a" / "b" / "c" / "ü 日本" / "x"
    assert place.read_bytes() == DATA


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o755, 0o6755])
def test_what_it_replaces_keeps_its_mode(both: Both, shelf: Shelf, tmp_path: Path, mode: int) -> None:
    old = old_file(tmp_path)
    old.chmod(mode)
    place = download(both, shelf, old)
    assert place.read_bytes() == DATA
    # No download gives the right to be somebody else.
    assert stat.S_IMODE(place.stat().st_mode) == mode & 0o777
    assert names(tmp_path) == [old.name]


def test_links_that_the_user_names_are_followed(both: Both, shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "real" / "docs").mkdir(parents=True)
    old = old_file(tmp_path / "real")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "file").symlink_to(old)
    (tmp_path / "dangling").symlink_to(tmp_path / "real" / "new")
    assert download(both, shelf, tmp_path / "folder") == tmp_path / "folder" / "docs" / "report.bin"
    assert (tmp_path / "real" / "docs" / "report.bin").read_bytes() == DATA
    assert download(both, shelf, tmp_path / "file") == tmp_path / "file"
    assert download(both, shelf, tmp_path / "dangling") == tmp_path / "dangling"
    assert old.read_bytes() == (tmp_path / "real" / "new").read_bytes() == DATA
    assert all((tmp_path / name).is_symlink() for name in ("folder", "file", "dangling"))


def test_an_empty_file(both: Both, tmp_path: Path) -> None:
    seen: list[Any] = []
    with serving(b"") as shelf:
        place = download(both, shelf, tmp_path / "x", on_progress=lambda *at: seen.append(at))
    assert place.read_bytes() == b""
    assert seen == []


def test_megabytes_with_progress(both: Both, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    async def wait(done: int, total: int) -> None:
        await asyncio.sleep(0)
        seen.append((done, total))

    def note(done: int, total: int) -> None:
        seen.append((done, total))

    with serving(LARGE) as shelf:
        for callback in (note, wait) if both.kind == "async" else (note,):
            seen.clear()
            place = download(both, shelf, tmp_path, on_progress=callback)
            assert place.read_bytes() == LARGE
            assert len(seen) >= 8
            assert seen == sorted(set(seen))
            assert {total for _, total in seen} == {len(LARGE)}
            assert seen[-1] == (len(LARGE), len(LARGE))


def test_tasks_and_artifacts_may_be_given_by_their_ids(both: Both, shelf: Shelf, tmp_path: Path) -> None:
    client = both.client(shelf.base_url)
    task = both.call(client.get_task("task_1"))
    for number, (one, artifact) in enumerate(
        [(task, task.artifacts[0]), ("task_1", task.artifacts[0]), (task, "art_1"), ("task_1", "art_1")]
    ):
        place = both.call(client.download_artifact(one, artifact, tmp_path / str(number)))
        assert place.read_bytes() == DATA


def test_the_task_is_asked_only_for_what_is_not_known(both: Both, tmp_path: Path) -> None:
    asked: list[str] = []

    def handle(request: raw.Request) -> Any:
        asked.append(request.path)
        return shelf(request)

    with serving(DATA) as shelf, raw.serve(raw.RawServer(handle)) as server:
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
            asked.clear()
            assert both.call(client.download_artifact(one, artifact, f"{tmp_path}/")).name == "report.bin"
            assert len(asked) == requests


def test_an_artifact_that_the_task_does_not_have(both: Both, shelf: Shelf, tmp_path: Path) -> None:
    with untouched(tmp_path), pytest.raises(errors.NotFoundError, match="art_2") as caught:
        download(both, shelf, tmp_path, artifact="art_2")
    assert caught.value.task_id == "task_1"
    assert shelf.ranges == []


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
def test_arguments_that_cannot_be(both: Both, tmp_path: Path, param: str, arguments: dict[str, Any]) -> None:
    client = both.client("http://127.0.0.1:9")
    usual = {"task": "task_1", "artifact": "art_1", "to": tmp_path}
    with pytest.raises((errors.InvalidRequestError, errors.ConfigurationError)) as caught:
        both.call(client.download_artifact(**usual | arguments))
    assert caught.value.param == param
    assert names(tmp_path) == []


def test_coroutine_functions_are_for_the_asynchronous_client(tmp_path: Path) -> None:
    async def wait(done: int, total: int) -> None: ...

    with ClaudeClient("sk-proj-x", "http://127.0.0.1:9") as client, pytest.raises(errors.InvalidRequestError) as caught:
        client.download_artifact("task_1", "art_1", tmp_path, on_progress=wait)
    assert caught.value.param == "on_progress"


def test_the_caps_are_what_is_documented() -> None:
    assert (MAX_DOWNLOAD_BYTES, MAX_READ_BYTES) == (2**30, 2**28)
    assert inspect.signature(ClaudeClient.download_artifact).parameters["max_bytes"].default == MAX_DOWNLOAD_BYTES
    assert inspect.signature(Artifact.read_bytes).parameters["max_bytes"].default == MAX_READ_BYTES
    assert "1 GiB" in (ClaudeClient.download_artifact.__doc__ or "")
    assert "256 MiB" in (Artifact.read_bytes.__doc__ or "")


# ---- in memory


def a_task(both: Both, shelf: Shelf, client: Any = None) -> AgenticTaskResponse:
    client = client or both.client(shelf.base_url)
    task: AgenticTaskResponse = both.call(client.get_task("task_1"))
    return attach_reader(task, client._connection)


def read(both: Both, artifact: Artifact, **options: Any) -> Any:
    return both.call(artifact.read_bytes(**options) if both.kind == "sync" else artifact.aread_bytes(**options))


def test_an_artifact_reads_its_bytes(both: Both, shelf: Shelf) -> None:
    artifact = a_task(both, shelf).artifacts[0]
    assert read(both, artifact) == DATA
    assert read(both, artifact, max_bytes=len(DATA)) == DATA


def test_megabytes_in_memory(both: Both) -> None:
    with serving(LARGE) as shelf:
        assert read(both, a_task(both, shelf).artifacts[0]) == LARGE


def test_what_is_read_into_memory_is_checked_too(both: Both, shelf: Shelf) -> None:
    artifact = a_task(both, shelf).artifacts[0]
    with pytest.raises(errors.ArtifactTooLargeError):
        read(both, artifact, max_bytes=len(DATA) - 1)
    with pytest.raises(errors.InvalidRequestError) as caught:
        read(both, artifact, max_bytes=0)
    assert caught.value.param == "max_bytes"
    assert shelf.ranges == []
    for wrong in (DATA[:-1], DATA + b"x", b"x" + DATA[1:]):
        shelf.data = wrong
        with pytest.raises(errors.ArtifactMismatchError) as mismatch:
            read(both, artifact)
        assert mismatch.value.task_id == "task_1"


def test_read_bytes_of_an_asynchronous_clients_artifact(shelf: Shelf) -> None:
    with open_both("async") as both:
        artifact = a_task(both, shelf).artifacts[0]
        # No event loop runs here.
        assert artifact.read_bytes() == DATA

        async def main() -> None:
            with pytest.raises(errors.ConfigurationError, match="aread_bytes"):
                artifact.read_bytes()
            assert await asyncio.to_thread(artifact.read_bytes) == DATA
            assert await artifact.aread_bytes() == DATA

        asyncio.run(main())


def test_aread_bytes_of_a_synchronous_clients_artifact(shelf: Shelf) -> None:
    with open_both("sync") as both:
        artifact = a_task(both, shelf).artifacts[0]

        async def main() -> None:
            with pytest.raises(errors.ConfigurationError, match=r"to_thread\(artifact\.read_bytes\)"):
                await artifact.aread_bytes()
            assert await asyncio.to_thread(artifact.read_bytes) == DATA

        asyncio.run(main())


def test_where_an_artifact_came_from_is_no_part_of_it(both: Both, shelf: Shelf, tmp_path: Path) -> None:
    task = a_task(both, shelf)
    artifact, by_hand = task.artifacts[0], shelf.artifact
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
        client = both.client(shelf.base_url)
        assert both.call(client.download_artifact(task, stranger, tmp_path)).read_bytes() == DATA


def test_exceptions_start_at_the_public_method(both: Both, shelf: Shelf, tmp_path: Path) -> None:
    """Nothing that could show the key, or what else is in a client, is in sight of a crash reporter."""
    client = both.client(shelf.base_url, api_key="sk-proj-CANARY")
    task = a_task(both, shelf, client)
    shelf.data = DATA[::-1]
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


def test_a_storage_error_keeps_its_errno_on_its_ways(shelf: Shelf, tmp_path: Path) -> None:
    with open_both("sync") as both, pytest.raises(errors.StorageError) as caught:
        download(both, shelf, tmp_path / "nowhere" / "x")
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value)), copy.deepcopy(caught.value)):
        assert (error.errno, error.task_id) == (errno.ENOENT, "task_1")
        assert str(error) == str(caught.value)


def test_a_closed_client_reads_nothing(both: Both, shelf: Shelf) -> None:
    client = both.client(shelf.base_url)
    artifact = a_task(both, shelf, client).artifacts[0]
    both.call(client.close())
    with pytest.raises(errors.ConfigurationError, match="closed"):
        read(both, artifact)
    assert shelf.ranges == []


def test_a_client_may_go_before_its_artifacts(both: Both, shelf: Shelf) -> None:
    client = both.client_class(api_key=KEY, base_url=shelf.base_url)
    artifact = a_task(both, shelf, client).artifacts[0]
    del client
    assert read(both, artifact) == DATA


def test_artifacts_of_every_task_know_where_they_came_from(both: Both, shelf: Shelf) -> None:
    ended = wire.task(artifacts=[shelf.record])
    running = wire.task("running", artifacts=[shelf.record])

    def handle(request: raw.Request) -> Any:
        match request.method, request.path:
            case "POST", "/v1/task":
                return raw.answer(200, ended)
            case "GET", "/v1/task":
                return raw.answer(200, {"data": [ended, running], "next_cursor": None})
            case "POST", _:
                return raw.answer(200, ended)
        return shelf(request)

    with raw.serve(raw.RawServer(handle)) as server:
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
        found.append(ArtifactFound(path, len(data), digest, "2026-11-22T12:00:00.000Z"))
    engine = ScriptedEngine(Outcome("completed", summary="Done.", artifacts=tuple(found), spent=Spent(1, 1, 0.0)))
    with embedded(workspace, engine) as running:
        yield running


def test_artifacts_of_a_task_on_the_embedded_server(both: Both, whole_server: Running, tmp_path: Path) -> None:
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
    with untouched(tmp_path), pytest.raises(errors.NotFoundError, match="changed"):
        both.call(client.download_artifact(task, task.artifacts[0], target))
