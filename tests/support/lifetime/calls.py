"""Public calls of the campaign, for both clients: coroutines that a driver of the synchronous client never suspends."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claude_code_api.api.system import get_health

from claude_code_client.errors import ConfigurationError, NotFoundError
from support.lifetime.server import CONTENT

COST = 0.25
"""USD of each task."""


@dataclass
class Round:
    """One round: a client, what its calls leave behind, and what is known of their cost."""

    kind: str
    number: int
    client: Any
    dice: random.Random
    folder: Path
    calls: list[list[str]] = field(default_factory=list)
    """Each call with its disturbance, and where that took place."""
    tasks: int = 0
    """Number of tasks so far."""
    is_ended: bool = False
    """True if the disturbance of the current call surely ends it."""
    kept: list[Any] = field(default_factory=list)
    """Streams that were left, but are still referenced."""
    handles: list[Any] = field(default_factory=list)
    """Handles on tasks, of which some run on."""
    may_stay_reserved: bool = False
    """True if a completion was left whose cost nobody has learnt."""
    is_handle_lost: bool = False
    """True if a submit was interrupted: the server may have accepted the task, and only the journal know of it."""

    def task(self, *, hold: bool | None = None) -> dict[str, Any]:
        """Return the arguments of a new task, which runs until it is cancelled if ``hold``; None for either."""
        self.tasks += 1
        context: dict[str, Any] = {"events": 3, "cost": COST}
        if hold if hold is not None else self.is_ended and self.dice.random() < 0.6:
            context["hold"] = True
        elif self.dice.random() < 0.5:
            context["seconds"] = self.dice.choice([0.001, 0.01, 0.03])
        return {"description": f"{self.prefix}{self.tasks}", "context": context, "max_cost": 1.0, "timeout": 30}

    @contextmanager
    def unknown_cost(self) -> Iterator[None]:
        """Let something stay reserved if the block does not reach its end."""
        before, self.may_stay_reserved = self.may_stay_reserved, True
        yield
        self.may_stay_reserved = before

    def has_way(self, way: str) -> bool:
        """Return whether a call so far has this disturbance."""
        return any(call[1] == way for call in self.calls)

    @property
    def prefix(self) -> str:
        """Start of the descriptions of this round's tasks."""
        return f"round {self.number}, "

    async def submit(self, *, hold: bool | None = None) -> Any:
        """Submit a task."""
        before, self.is_handle_lost = self.is_handle_lost, True
        handle = await get(self, self.client.submit_task(**self.task(hold=hold)))
        self.handles.append(handle)
        self.is_handle_lost = before
        return handle


Call = Callable[[Round], Awaitable[object]]


async def get(round_: Round, value: Any) -> Any:
    """Return what a method has returned, awaited if the client is asynchronous."""
    return await value if round_.kind == "async" else value


async def each(round_: Round, stream: Any, steps: int | None = None) -> list[Any]:
    """Read a stream, to its end or some steps far."""
    items: list[Any] = []
    end = object()
    while steps is None or len(items) < steps:
        item = await anext(stream, end) if round_.kind == "async" else next(stream, end)
        if item is end:
            break
        items.append(item)
    return items


async def close(round_: Round, stream: Any) -> None:
    await get(round_, stream.aclose() if round_.kind == "async" else stream.close())


async def execute_task(round_: Round) -> None:
    task = await get(round_, round_.client.execute_task(**round_.task()))
    assert task.usage.cost == COST


async def execute_with_events(round_: Round) -> None:
    seen: list[Any] = []
    await get(round_, round_.client.execute_task(**round_.task(), on_event=seen.append, stall_timeout=15))
    assert seen[-1]["type"] == "result"


async def stream_task(round_: Round) -> None:
    events = await each(round_, round_.client.stream_task(**round_.task()))
    assert events[-1]["type"] == "result"


async def leave_stream(round_: Round) -> None:
    await _leave(round_, round_.client.stream_task(**round_.task(hold=True)), round_.dice.randint(0, 3))


async def _leave(round_: Round, stream: Any, steps: int) -> None:
    await each(round_, stream, steps)
    match round_.dice.randrange(4):
        case 0:
            await close(round_, stream)
        case 1:
            round_.kept.append(stream)
        case 2:
            cycle: list[Any] = [stream]
            cycle.append(cycle)
        case _:
            pass  # dropped


async def wait_for_handle(round_: Round) -> None:
    way = round_.dice.randrange(4)
    handle = await round_.submit(hold=None if way < 2 else True)
    match way:
        case 0:
            await get(round_, handle.wait())
        case 1:
            await each(round_, handle.events())
        case 2:
            await get(round_, handle.refresh())
            await get(round_, handle.cancel())
        case _:
            await _leave(round_, handle.events(), 1)
            await get(round_, handle.cancel())
    repr(handle)


async def leave_handle(round_: Round) -> None:
    handle = await round_.submit(hold=True)
    if round_.kind == "async":
        async with handle:
            await handle.refresh()
    else:
        with handle:
            handle.refresh()


async def detach(round_: Round) -> None:
    handle = await round_.submit(hold=False)
    handle.detach()
    if round_.dice.random() < 0.5:
        await _leave(round_, round_.client.stream_events(handle.id), 1)


async def recover(round_: Round) -> None:
    for handle in await get(round_, round_.client.recover()):
        # A task whose handle was lost runs until it is cancelled.
        await get(round_, handle.cancel() if round_.is_handle_lost else handle.wait())


async def complete(round_: Round) -> None:
    with round_.unknown_cost():
        reply = await get(round_, round_.client.complete("Hello", max_tokens=200))
    assert reply.content == "Paid."


async def stream_complete(round_: Round) -> None:
    with round_.unknown_cost():
        items = await each(round_, round_.client.stream_complete("Hello", max_tokens=200))
    assert items[-1].content == "Paid."


async def leave_stream_complete(round_: Round) -> None:
    round_.may_stay_reserved = True
    await _leave(round_, round_.client.stream_complete("Hello", max_tokens=200), 1)


async def read_account(round_: Round) -> None:
    client = round_.client
    for method in round_.dice.sample((client.list_models, client.get_usage, client.get_capabilities), 2):
        await get(round_, method())
    endpoint = get_health.asyncio if round_.kind == "async" else get_health.sync
    await get(round_, endpoint(client=client.api))


async def list_tasks(round_: Round) -> None:
    for task in await each(round_, round_.client.list_tasks(page_size=2), round_.dice.randint(1, 3)):
        assert task.id


async def unknown_task(round_: Round) -> None:
    for method in (round_.client.get_task, round_.client.cancel_task):
        try:
            await get(round_, method("task_unknown"))
        except NotFoundError:
            continue


async def download(round_: Round) -> None:
    task = await get(round_, round_.client.execute_task(**round_.task()))
    [artifact] = task.artifacts
    if round_.dice.random() < 0.5:
        path = await get(round_, round_.client.download_artifact(task, artifact, to=round_.folder / "report.md"))
        assert path.read_bytes() == CONTENT
    else:
        content = await get(round_, artifact.aread_bytes() if round_.kind == "async" else artifact.read_bytes())
        assert content == CONTENT


async def other_clients(round_: Round) -> None:
    """Use copies of the client; closing them leaves the client open."""
    other = round_.client.with_options(timeout=9)
    await get(round_, other.get_health())
    await get(round_, other.close())
    duplicate = copy.copy(round_.client)
    try:
        await get(round_, duplicate.get_health())
    finally:
        await get(round_, duplicate.close())


async def pickle_all(round_: Round) -> None:
    handle = await round_.submit(hold=True)
    stream = handle.events()
    await each(round_, stream, 1)
    for subject in (handle, stream, round_.client):
        try:
            pickle.dumps(subject)
        except ConfigurationError:  # the budget is open
            pass
        else:
            raise AssertionError(subject)
    await close(round_, stream)
    await get(round_, handle.cancel())


CALLS: dict[str, Call] = {
    function.__name__: function
    for function in (
        execute_task,
        execute_with_events,
        stream_task,
        leave_stream,
        wait_for_handle,
        leave_handle,
        detach,
        recover,
        complete,
        stream_complete,
        leave_stream_complete,
        read_account,
        list_tasks,
        unknown_task,
        download,
        other_clients,
        pickle_all,
    )
}
