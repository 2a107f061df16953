"""Route for the event stream of a task."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from starlette.responses import Response

from ...domain.entities import Task
from ...domain.errors import invalid_request
from ...services.container import Services
from ...services.event_batches import EventBatch
from ...storage.store import Store
from ..request import RequestContext
from ..serializers import serialize_event
from ..sse import PING, encode_event, event_stream
from .tasks import find_task

_BATCH_EVENTS: Final = 100
_BATCH_CHARACTERS: Final = 256 * 1024


async def stream_task_events(context: RequestContext) -> Response:
    """Stream the events of a task, from the first or after ``Last-Event-ID``, up to the terminal event."""
    task = find_task(context, context.parameters["task_id"])
    after = int(context.parameters.get("last_event_id", 0))
    last = context.services.store.last_seq(task.id)
    if after > last:
        raise invalid_request(
            "is the ID of an event that this task does not have.", context.operation.parameter_name("last_event_id")
        )
    if after == last and task.ended:
        # Nothing will ever follow; an EventSource reconnects after every response but this one.
        return Response(status_code=204)
    leave = context.services.followers.add(task.id)
    return event_stream(_events(context.services, task, after), on_end=leave)


async def _events(services: Services, task: Task, after: int) -> AsyncIterator[bytes]:
    """Read events from the store batch by batch, so that a slow client costs no more memory than one batch."""
    runner, store, ping_interval = services.task_runner, services.store, services.settings.ping_interval
    while True:
        # Asked first: the task may end while its events are being read. And part of the key: whoever asks after the
        # end must not share what was read before it.
        active = runner.is_active(task.id)
        batch = await services.event_batches.get(
            (task.id, after, active), partial(store.in_thread, partial(_read_batch, after, task, store))
        )
        if batch is not None:
            yield batch.data
            if batch.terminal:
                return
            after = batch.last_seq
            del batch  # Free its memory while waiting for the next event.
        elif not active:
            return
        elif not await runner.wait_for_event(task.id, after, ping_interval):
            yield PING


def _read_batch(after: int, task: Task, store: Store) -> EventBatch | None:
    events = store.list_events(task.id, after, _BATCH_EVENTS, _BATCH_CHARACTERS)
    if not events:
        return None
    last = events[-1]
    if last.terminal:
        task = store.get_task(task.id) or task
    data = b"".join(encode_event(event.type, serialize_event(event, task), event.seq) for event in events)
    return EventBatch(data, last.seq, last.terminal)
