"""Reading event streams, as flows. No I/O."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from claude_code_api.api.tasks import stream_task_events
from claude_code_api.models.completion_response import CompletionResponse as GeneratedCompletion
from claude_code_api.models.result_event import ResultEvent as GeneratedResult

from . import _convert as convert
from ._flow import Emit, Flow, Open, Read, Request
from ._stream import EventDecoder, ServerSentEvent
from .errors import (
    APIConnectionError,
    ClaudeAPIError,
    StreamInterruptedError,
    TimeoutError,
    UnexpectedResponseError,
    from_detail,
    shorten_body,
)
from .models import CompletionResponse

READ_TIMEOUT: Final = 45.0
"""Seconds; a server that lives sends a ping every 15."""


def follow_task(
    task_id: str, *, deadline: float, on_result: Callable[[GeneratedResult | None], Flow[None]]
) -> Flow[None]:
    """Emits each event of a task as a dict, the ``result`` event last; before it, ``on_result`` gets what it says.

    Raises the exception that a terminal ``error`` event stands for; StreamInterruptedError where neither came.
    """
    yield Open(request=stream_task_events._get_kwargs(task_id), deadline=deadline, read_timeout=READ_TIMEOUT)
    reader = EventReader(f"the task {task_id}", deadline, task_id)
    while True:
        event = yield from reader.next_event()
        if event["type"] == "error":
            raise from_detail(_detail(event), task_id=task_id)
        if event["type"] == "result":
            yield from on_result(_result(event))
            yield Emit(event)
            return
        yield Emit(event)


def follow_completion(
    request: Request, *, deadline: float, on_reply: Callable[[CompletionResponse], None]
) -> Flow[None]:
    """Emits the reply's text as it is written, then the CompletionResponse; before that one goes ``on_reply``."""
    yield Open(request=request, deadline=deadline, read_timeout=READ_TIMEOUT)
    reader = EventReader("the completion", deadline)
    while True:
        event = yield from reader.next_event()
        match event["type"]:
            case "text_delta":
                yield Emit(_field(event, "text", str))
            case "completion":
                reply = _completion(_field(event, "completion", dict))
                on_reply(reply)
                yield Emit(reply)
                return
            case "error":
                raise from_detail(_detail(event))


class EventReader:
    """What is open, as a sequence of events."""

    def __init__(self, what: str, deadline: float, task_id: str | None = None) -> None:
        self._what = what
        self._deadline = deadline
        self._task_id = task_id
        self._decoder = EventDecoder()
        self._events: deque[ServerSentEvent] = deque()

    def next_event(self) -> Flow[dict[str, Any]]:
        """The next event. Raises StreamInterruptedError where the stream ends instead."""
        while not self._events:
            problem: ClaudeAPIError | None = None
            chunk: bytes | None = None
            try:
                chunk = yield Read()
            except APIConnectionError as error:
                problem = error
            if time.monotonic() >= self._deadline:
                raise TimeoutError(
                    f"The stream of {self._what} did not end within its timeout. Give it a larger one.",
                    task_id=self._task_id,
                    attempts=1,
                    outcome_unknown=self._task_id is None,
                )
            if chunk is None:
                raise self._interrupted(problem)
            self._events.extend(self._decoder.feed(chunk))
        return _event(self._events.popleft())

    def _interrupted(self, problem: ClaudeAPIError | None) -> StreamInterruptedError:
        reason = problem.message.rstrip(".") if problem else "the server closed it"
        advice = " The task may still run; get_task() tells how it stands." if self._task_id else " Call again."
        error = StreamInterruptedError(
            f"The stream of {self._what} was cut before its end: {reason}.{advice}",
            task_id=self._task_id,
            attempts=problem.attempts if problem else 1,
            history=problem.history if problem else ("end of the stream",),
            outcome_unknown=self._task_id is None,
        )
        error.last_event_id = self._decoder.last_event_id or None
        return error


def _event(sse: ServerSentEvent) -> dict[str, Any]:
    """The event's JSON object; types that this version does not know pass as they are."""
    try:
        event = json.loads(sse.data)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise UnexpectedResponseError(
            f"The stream's event {sse.id or '?'} is not a JSON object.", body=shorten_body(sse.data.encode())
        )
    event.setdefault("type", sse.type)
    return event


def _detail(event: dict[str, Any]) -> dict[str, Any]:
    detail = event.get("error")
    return (
        detail if isinstance(detail, dict) else {"message": str(event.get("content") or "The server gave no reason.")}
    )


def _field(event: dict[str, Any], name: str, kind: type[Any]) -> Any:
    value = event.get(name)
    if not isinstance(value, kind):
        raise UnexpectedResponseError(f"The stream's event {event['type']!r} has no {name}.")
    return value


def _result(event: dict[str, Any]) -> GeneratedResult | None:
    """The last event, unless it lacks what the contract promises."""
    try:
        return GeneratedResult.from_dict(event)
    except convert.MISREADINGS:
        return None


def _completion(body: dict[str, Any]) -> CompletionResponse:
    try:
        return convert.completion(GeneratedCompletion.from_dict(body))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"{type(error).__name__}: {error}"
    raise UnexpectedResponseError(f"The stream's completion is not of the documented form: {problem}.")
