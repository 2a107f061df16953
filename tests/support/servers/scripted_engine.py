"""Engine that follows a script: a real implementation of the engine protocol, without an agent."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from claude_code_server.domain.engine_protocol import CancelToken, EventSink, EventType, Outcome, TaskSpec
from claude_code_server.domain.usage import Usage

DONE = Outcome("completed", summary="Done.", result={"summary": "Done.", "answer": 42})


class Gate:
    """Step that holds a run until the test opens the gate or the run is cancelled. Opens once, for all runs."""

    def __init__(self, *, cancellable: bool = True) -> None:
        self.reached = threading.Event()
        self.cancellable = cancellable
        self._opened: Future[None] = Future()

    def open(self) -> None:
        self._opened.set_result(None)

    async def wait(self, cancellation: CancelToken) -> None:
        self.reached.set()
        opened = asyncio.ensure_future(asyncio.shield(asyncio.wrap_future(self._opened)))
        stopped = asyncio.ensure_future(cancellation.wait())
        waited = {opened, stopped} if self.cancellable else {opened}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            opened.cancel()
            stopped.cancel()


@dataclass(frozen=True)
class Emitted:
    """Event to emit."""

    type: EventType
    fields: dict[str, Any]


def says(text: str) -> Emitted:
    return Emitted("thinking", {"content": text})


def calls(tool: str, **arguments: Any) -> Emitted:
    return Emitted("tool_call", {"content": tool, "tool": tool, "arguments": arguments, "call_id": f"call_{tool}"})


Step = Emitted | Gate | Exception | Outcome | Usage


class ScriptedEngine:
    """Engine whose runs all take the same steps; a cancelled run ends at the next gate. ``specs`` records the runs."""

    name = "scripted"

    def __init__(self, *steps: Step) -> None:
        self._steps: Sequence[Step] = steps
        self.specs: list[TaskSpec] = []
        self.at_once = 0
        self.most_at_once = 0

    async def run(self, spec: TaskSpec, events: EventSink, cancellation: CancelToken) -> Outcome:
        self.specs.append(spec)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._follow(events, cancellation)
        finally:
            self.at_once -= 1

    async def aclose(self) -> None:
        return None

    async def _follow(self, events: EventSink, cancellation: CancelToken) -> Outcome:
        for step in self._steps:
            match step:
                case Emitted():
                    events.emit(step.type, **step.fields)
                case Usage():
                    events.report_usage(step)
                case Gate():
                    await step.wait(cancellation)
                    if cancellation.reason is not None:
                        return Outcome(cancellation.reason)
                case Exception():
                    raise step
                case Outcome():
                    return step
        return DONE
