"""A program that makes one call, to be interrupted or killed by a test: ``python worker.py '{"kind": "sync", …}'``.

It says on stdout, a line each, where it is: ``event`` for each event, ``id`` with the task's, ``done`` at the end;
``at`` before each of the steps named in ``pause``, where it then stays.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from typing import Any

from claude_code_client import AsyncClaudeClient, ClaudeClient


def say(*words: object) -> None:
    print(*words, flush=True)


def pause(step: str, at: int) -> None:
    """Stay for ever before the ``at``-th connect, or opening of the journal."""
    passed = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal passed
        hit = (
            event == "socket.connect" if step == "connect" else event == "open" and str(arguments[0]) == told["journal"]
        )
        passed += hit
        if hit and passed == at:
            say("at", step)
            threading.Event().wait()

    sys.addaudithook(watch)


def synchronous() -> None:
    with ClaudeClient(**told["client"]) as client:
        match told["call"]:
            case "execute_task":
                client.execute_task(**told["task"])
            case "stream_task":
                for _ in client.stream_task(**told["task"]):
                    say("event")
                    if told.get("linger"):
                        threading.Event().wait()
            case "recover":
                for handle in client.recover():
                    say("id", handle.id, handle.wait().status)
            case "submit_task":
                for number in range(told.get("times", 1)):
                    handle = client.submit_task(**{**told["task"], **_numbered(number)})
                    say("id", handle.id)
                    handle.detach() if told.get("detach") else handle.wait()


async def asynchronous() -> None:
    async with AsyncClaudeClient(**told["client"]) as client:
        match told["call"]:
            case "execute_task":
                await client.execute_task(**told["task"])
            case "stream_task":
                async for _ in client.stream_task(**told["task"]):
                    say("event")
                    if told.get("linger"):
                        await asyncio.Event().wait()
            case "recover":
                for handle in await client.recover():
                    say("id", handle.id, (await handle.wait()).status)
            case "submit_task":
                for number in range(told.get("times", 1)):
                    handle = await client.submit_task(**{**told["task"], **_numbered(number)})
                    say("id", handle.id)
                    handle.detach() if told.get("detach") else await handle.wait()


def _numbered(number: int) -> dict[str, Any]:
    return {"description": f"{told['task']['description']} {number}"} if "times" in told else {}


if __name__ == "__main__":
    told: dict[str, Any] = json.loads(sys.argv[1])
    if "pause" in told:
        pause(*told["pause"])
    if told["kind"] == "sync":
        synchronous()
    else:
        asyncio.run(asynchronous())
    say("done")
    if told.get("stay"):
        threading.Event().wait()
