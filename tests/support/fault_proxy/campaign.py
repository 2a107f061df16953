"""Random faults and random calls for campaigns, reproducible by their seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from support.clients.concurrent_calls import Job
from support.fault_proxy.exchange import Exchange, Plan
from support.fault_proxy.faults import (
    GARBAGE,
    CutRequest,
    CutResponse,
    Drip,
    Fault,
    Refuse,
    Stall,
    StallRequest,
    Way,
    error_response,
    gateway_page,
)

PAST, FAR = "Sun, 22 Nov 2026 11:00:00 GMT", "Fri, 31 Dec 2100 00:00:00 GMT"
_STATUSES = [429, 500, 503, 529]
_RETRY_AFTERS = [None, None, "0", "0.05", PAST]
Make = Callable[[random.Random], Fault]

# Share of exchanges, in thousandths, that each fault meets: before the request is read, and after it.
_EARLY: list[tuple[int, Make]] = [
    (40, lambda dice: CutRequest(dice.randrange(700), dice.choice(get_args(Way)))),
    (15, lambda dice: Refuse(dice.choice([0.02, 0.1]))),
    (2, lambda dice: StallRequest(dice.randrange(500))),
]
_LATE: list[tuple[int, Make]] = [
    (60, lambda dice: CutResponse(dice.randrange(1100), dice.choice(get_args(Way)))),
    (50, lambda dice: error_response(dice.choice(_STATUSES), dice.choice(_RETRY_AFTERS))),
    (15, lambda dice: error_response(500, dice.choice(_RETRY_AFTERS), forward=True)),
    (20, lambda dice: gateway_page(dice.choice([500, 502, 503, 504]), forward=True)),
    (3, lambda dice: error_response(dice.choice(_STATUSES), dice.choice(["9000", FAR]))),
    (15, lambda _: GARBAGE),
    (10, lambda _: gateway_page(502)),
    (3, lambda _: gateway_page(200)),
    (4, lambda dice: Stall(dice.randrange(600))),
    (15, lambda dice: Stall(dice.randrange(600), 0.2)),
    (15, lambda dice: Drip(dice.randrange(600), 0.0005)),
]


def random_faults(seed: str) -> Plan:
    """Return a plan in which about a quarter of the exchanges fail."""

    def plan(exchange: Exchange) -> Fault | None:
        early = not exchange.path
        dice = random.Random(f"{seed} {exchange.number} {early}")
        choice = dice.randrange(1000)
        for share, make in _EARLY if early else _LATE:
            if choice < share:
                return make(dice)
            choice -= share
        return None

    return plan


@dataclass(frozen=True)
class PlannedCall:
    """Call of a campaign."""

    kind: str
    description: str
    """Unique for each call."""
    job: Job


KINDS = {"execute": 40, "stream": 25, "handle": 15, "complete": 10, "leave": 5, "overdue": 5}
"""Share of each kind in percent: ``leave`` stops at the first event, ``overdue`` exceeds its deadline."""
OVERDUE = 0.4
"""Seconds."""


def planned_calls(client_kind: str, count: int, seed: str) -> list[PlannedCall]:
    """Return random calls; each job returns the summary of its task."""
    dice = random.Random(seed)
    kinds = dice.choices(list(KINDS), list(KINDS.values()), k=count)
    jobs = _SYNC if client_kind == "sync" else _ASYNC
    return [_planned(kind, f"{client_kind} {kind} {number}", jobs[kind]) for number, kind in enumerate(kinds)]


def _planned(kind: str, description: str, job: Callable[[Any, str], Any]) -> PlannedCall:
    return PlannedCall(kind, description, lambda client: job(client, description))


def expected_result(planned: PlannedCall) -> str:
    """Return the result of a call that succeeds."""
    return "left" if planned.kind == "leave" else f"Done: {planned.description}"


_CONTEXT = {"events": 3, "seconds": 0.01, "cost": 0.01}
_HOLD = {"events": 1, "hold": True}


def _summary(events: list[Any]) -> str:
    assert [event["content"] for event in events[:-1]] == ["1", "2", "3"], events
    return str(events[-1]["summary"])


def _stream(client: Any, description: str) -> str:
    return _summary(list(client.stream_task(description, context=_CONTEXT)))


async def _astream(client: Any, description: str) -> str:
    return _summary([event async for event in client.stream_task(description, context=_CONTEXT)])


def _leave(client: Any, description: str) -> str:
    for _ in client.stream_task(description, context=_HOLD):
        break
    return "left"


async def _aleave(client: Any, description: str) -> str:
    stream = client.stream_task(description, context=_HOLD)
    async for _ in stream:
        break
    await stream.aclose()
    return "left"


async def _aexecute(client: Any, description: str) -> str:
    return str((await client.execute_task(description, context=_CONTEXT)).result["summary"])


async def _ahandle(client: Any, description: str) -> str:
    handle = await client.submit_task(description, context=_CONTEXT)
    return str((await handle.wait()).result["summary"])


async def _acomplete(client: Any, description: str) -> str:
    return f"Done: {description}" if (await client.complete(description)).content else "nothing"


async def _aoverdue(client: Any, description: str) -> str:
    return str((await client.execute_task(description, context=_HOLD, timeout=OVERDUE)).status)


_SYNC: dict[str, Callable[[Any, str], Any]] = {
    "execute": lambda client, text: client.execute_task(text, context=_CONTEXT).result["summary"],
    "stream": _stream,
    "handle": lambda client, text: client.submit_task(text, context=_CONTEXT).wait().result["summary"],
    "complete": lambda client, text: f"Done: {text}" if client.complete(text).content else "nothing",
    "leave": _leave,
    "overdue": lambda client, text: client.execute_task(text, context=_HOLD, timeout=OVERDUE).status,
}
_ASYNC: dict[str, Callable[[Any, str], Any]] = {
    "execute": _aexecute,
    "stream": _astream,
    "handle": _ahandle,
    "complete": _acomplete,
    "leave": _aleave,
    "overdue": _aoverdue,
}
