"""Clients that are copied, pickled, forked, and left by a process that ends."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.servers import raw_http
from support.servers.open_streams import reply

from claude_code_client import AuthenticationError


@pytest.fixture
def server() -> Iterator[raw_http.SocketServer]:
    with raw_http.serve(raw_http.SocketServer(reply)) as running:
        yield running


# Copies and pickles


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda client: pickle.loads(pickle.dumps(client))])
def test_copies_are_configured_alike_and_independent(
    both: ClientKind, server: raw_http.SocketServer, duplicate: Callable[[Any], Any]
) -> None:
    secret = {"X-Team": "a", "Cookie": "session=secret"}
    client = both.client(server.base_url, timeout=9, max_retries=1, headers=secret)
    other = both.keep(duplicate(client))
    assert type(other) is type(client)
    assert other._config == client._config
    both.call(client.complete("x"))
    both.call(other.complete("x"))
    assert [request.connection for request in server.requests] == [0, 1]
    for request in server.requests:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert (request.headers["x-team"], request.headers["cookie"]) == ("a", "session=secret")
    both.call(other.close())
    both.call(client.complete("x"))
    assert server.requests[-1].connection == 0


def test_pickle_contains_no_secrets(both: ClientKind) -> None:
    headers = {"X-Team": "blue", "Cookie": "session=secret", "X-Api-Token": "secret"}
    stored = pickle.dumps(both.client("http://127.0.0.1:9", headers=headers))
    assert KEY.encode() not in stored
    assert b"secret" not in stored
    assert b"blue" in stored
    assert b"http://127.0.0.1:9/v1" in stored


def run(tmp_path: Path, script: str, *arguments: str, **environ: str) -> str:
    """Run a script, which has to succeed without warnings; return its output."""
    path = tmp_path / "script.py"
    path.write_text(dedent(script))
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(path), *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", **environ},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.stderr == ""
    assert ran.returncode == 0
    return ran.stdout


FORKED = """
    import os, sys
    from claude_code_client import ClaudeClient

    client = ClaudeClient("sk-proj-x", sys.argv[1])
    stream = client.stream_task("x")
    next(stream)
    if os.fork() == 0:
        sys.exit(0)
    os.wait()
    client.complete("x")
"""


@pytest.mark.slow
def test_fork_does_not_cancel_its_parents_tasks(tmp_path: Path, server: raw_http.SocketServer) -> None:
    run(tmp_path, FORKED, server.base_url)
    paths = [request.path.rpartition("/")[2] for request in server.requests]
    assert paths == ["task", "events", "completions", "cancel"]


WORKERS = """
    import multiprocessing, sys
    from concurrent.futures import ProcessPoolExecutor
    from claude_code_client import AuthenticationError, ClaudeClient

    def ask(client, prompt):
        with client:
            return client.complete(prompt).content

    if __name__ == "__main__":
        _, method, base_url = sys.argv
        client = ClaudeClient("sk-proj-parent", base_url, max_retries=0)
        with client, ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
            for future in [pool.submit(ask, client, prompt) for prompt in "ab"]:
                try:
                    print(future.result())
                except AuthenticationError as error:
                    print(error)
            client.complete("c")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "environ", "keys", "printed"),
    [
        ("fork", {}, {"Bearer sk-proj-parent": 3}, "Python is a language."),
        ("spawn", {"CLAUDE_API_KEY": "sk-proj-own"}, {"Bearer sk-proj-own": 2, "Bearer sk-proj-parent": 1}, "Python"),
        ("spawn", {}, {"Bearer sk-proj-parent": 1}, "Set CLAUDE_API_KEY in the process that uses it"),
    ],
)
def test_client_can_be_sent_to_a_process_pool(
    tmp_path: Path,
    server: raw_http.SocketServer,
    method: str,
    environ: dict[str, str],
    keys: dict[str, int],
    printed: str,
) -> None:
    lines = run(tmp_path, WORKERS, method, server.base_url, **environ).splitlines()
    assert len(lines) == 2
    assert all(printed in line for line in lines)
    assert Counter(request.headers["authorization"] for request in server.requests) == keys


def test_unpickled_client_needs_a_key_from_its_process(both: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {**both.client("http://127.0.0.1:9").__getstate__(), "fingerprint": "of another process"}
    arrived = object.__new__(both.client_class)
    arrived.__setstate__(state)
    with pytest.raises(AuthenticationError, match="Set CLAUDE_API_KEY"):
        both.call(arrived.complete("x"))
    monkeypatch.setenv("CLAUDE_API_KEY", "sk-proj-own")
    arrived.__setstate__(state)
    assert arrived._config.api_key == "sk-proj-own"


# Forks


FORK = """
    import asyncio, os, sys
    from claude_code_client import AsyncClaudeClient, ClaudeClient

    base_url = sys.argv[1]
    client, waiting = ClaudeClient("sk-proj-x", base_url), AsyncClaudeClient("sk-proj-x", base_url)

    def everything(name):
        client.complete(name)
        asyncio.run(waiting.complete(name))

    def in_child(work):
        child = os.fork()
        if not child:
            try:
                work()
                next(client.stream_task("x"))
                os._exit(0)
            finally:
                os._exit(1)
        return child

    def ended_well(child):
        assert os.waitpid(child, 0)[1] == 0

    everything("parent")
    ended_well(in_child(lambda: everything("first child")))
    everything("parent")
    reading, writing = os.pipe()

    def after_the_parent():
        os.read(reading, 1)
        everything("second child")

    child = in_child(after_the_parent)
    everything("parent")
    os.write(writing, b"x")
    ended_well(child)
    everything("parent")
    client.close()
    print("closed")
"""


@pytest.mark.slow
def test_forked_process_uses_its_own_sockets(tmp_path: Path, server: raw_http.SocketServer) -> None:
    assert run(tmp_path, FORK, server.base_url) == "closed\n"
    by_process: dict[str, set[int]] = {"parent": set(), "first child": set(), "second child": set()}
    for request in server.requests:
        for name in by_process:
            if name.encode() in request.body:
                by_process[name].add(request.connection)
    parent, first, second = by_process.values()
    assert parent
    assert first
    assert second
    assert len(parent | first | second) == len(parent) + len(first) + len(second)
    assert [request.connection for request in server.requests if b"parent" in request.body].count(0) == 4


# Warnings

FORGETFUL = """
    import asyncio, sys
    from claude_code_client import AsyncClaudeClient, ClaudeClient

    base_url = sys.argv[1]
    kept = []

    def in_a_function():
        client = ClaudeClient("sk-proj-x", base_url)
        client.complete("x")
        next(client.stream_task("x"))

    def in_another_loop(client):
        async def main():
            await client.complete("x")
        asyncio.run(main())

    async def main(client):
        await client.complete("x")
        async for _ in client.stream_task("x"):
            break
        stream = client.stream_task("x")
        kept.append(stream)
        await anext(stream)
        kept.append(client.stream_complete("x"))
        await anext(client.stream_complete("x"))
        await anext(client.list_tasks())
        try:
            async for _ in client.stream_complete("x"):
                raise KeyError
        except KeyError:
            pass
        async with asyncio.timeout(15):
            await client.complete("x")
        following = asyncio.create_task(anext(client.stream_complete("x")))
        await asyncio.sleep(0)

    in_a_function()
    waiting = AsyncClaudeClient("sk-proj-x", base_url)
    for _ in range(3):
        asyncio.run(main(waiting))
        asyncio.run(main(AsyncClaudeClient("sk-proj-x", base_url)))
    in_another_loop(waiting)
    client = ClaudeClient("sk-proj-x", base_url)
    client.complete("x")
    stream = client.stream_task("x")
    next(stream)
    never = client.stream_task("x")
    other = client.with_options(timeout=9)
    other.complete("x")
    print("end")
"""


@pytest.mark.slow
def test_unclosed_client_warns_of_nothing_and_leaves_nothing_open(
    tmp_path: Path, server: raw_http.SocketServer
) -> None:
    assert run(tmp_path, FORGETFUL, server.base_url) == "end\n"
    server.wait_until(lambda: not server.open)


INTERRUPTED = """
    import os, signal, sys, threading
    from claude_code_client import ClaudeClient

    client = ClaudeClient("sk-proj-x", sys.argv[1])
    stream = client.stream_task("x")
    next(stream), next(stream)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        next(stream)
    except KeyboardInterrupt:
        print(client.complete("x").content)
"""


@pytest.mark.slow
def test_keyboard_interrupt_ends_a_stream_and_keeps_the_client_usable(
    tmp_path: Path, server: raw_http.SocketServer
) -> None:
    assert run(tmp_path, INTERRUPTED, server.base_url) == "Python is a language.\n"
