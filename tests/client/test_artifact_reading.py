"""Artifacts read into memory through the task that has them."""

from __future__ import annotations

import asyncio
import copy
import errno
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from support.clients.client_kinds import ClientKind, open_client_kind
from support.servers import raw_http, responses
from support.servers.embedded_server import KEY
from support.servers.scripted_downloads import DownloadScript, scripted_downloads

from claude_code_client import errors
from claude_code_client._client.artifact_reader import attach_reader
from claude_code_client.models import AgenticTaskResponse, Artifact

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
