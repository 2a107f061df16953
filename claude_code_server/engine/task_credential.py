"""Credential of one task for the model proxy."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import attrs

from claude_code_common.pricing import FREE, ModelPrice

from ..domain.engine_protocol import CancelToken
from ..domain.key_account import NO_BUDGET, WorkBudget
from ..domain.pricing import Need
from ..domain.usage import Usage
from ..runtime.broadcast import Broadcast
from ..upstream.messages_stream import MessagesEvent
from ..upstream.protocol import UpstreamError
from .usage_meter import ModelCall, UsageMeter

_REPORTED_EVENTS: Final = ("message_start", "content_block_stop")
"""Events after which usage is reported: a few per call. The end of a call is reported too."""
_RECHECK_INTERVAL: Final = 1.0
"""Seconds after which a waiting call looks again whether its task has been cancelled."""


def _new_key() -> str:
    return f"sk-task-{secrets.token_urlsafe(32)}"


@attrs.define(eq=False)
class TaskCredential:
    """Permission of one task to call the model, with the task's budget and usage; valid until it is revoked."""

    max_cost: float
    """USD."""
    models: tuple[str, ...]
    """Models that the task may call, by ID."""
    web_search: bool
    """True if the task may let the upstream search the web."""
    cancellation: CancelToken
    on_usage: Callable[[Usage, float], object]
    """Called with the task's total usage and the reserved cost, before each call and a few times during it."""
    _revoke: Callable[[TaskCredential], object]
    budget: WorkBudget = NO_BUDGET
    """Share of the task in the account of its key."""
    exceeded: str = ""
    """Budget of the key that did not pay for a call, in words; empty if it was ``max_cost``, or if there is none."""
    key: str = attrs.field(factory=_new_key, repr=False)
    last_error: UpstreamError | None = None
    """Error of the upstream's last response; None if that response was a success."""
    revoked: bool = False
    _changed: Broadcast = attrs.field(factory=Broadcast, repr=False)
    """Notifies when a call has ended, and when the credential is revoked."""
    _meter: UsageMeter = attrs.field(
        default=attrs.Factory(lambda self: UsageMeter(self.max_cost), takes_self=True), repr=False
    )

    @property
    def usage(self) -> Usage:
        return self._meter.usage

    @property
    def usable(self) -> bool:
        """True if the task may make calls: it has neither ended nor been cancelled."""
        return not self.revoked and self.cancellation.reason is None

    async def start_call(self, price: ModelPrice, need: Need) -> ModelCall | None:
        """Reserve the cost of a call, and wait for calls in progress if the budget cannot pay for it beside them.

        Both the task's own budget and that of its key count. Return None if one of them cannot pay for the call, if
        the task ends while it waits, or if the reservation cannot be stored.
        """
        while self.usable:
            others_busy = self.budget.busy
            # What costs nothing may go on when the budget is used up.
            left = math.inf if price == FREE else self.budget.left
            call = self._meter.start_call(price, need, left, others_busy=others_busy)
            if call is not None:
                self._report()
                if self.usable:
                    return call
                self.end_call(call, refused=True)
                return None
            if not (self._meter.busy or others_busy):
                if self._meter.can_afford(price, need):
                    self.exceeded = f"the {self.budget.describe()} of the key"
                return None
            await self._changed.wait(_RECHECK_INTERVAL)
        return None

    async def wait_revoked(self) -> None:
        """Wait until the credential is revoked."""
        while not self.revoked:
            await self._changed.wait()

    def add_event(self, call: ModelCall, event: MessagesEvent) -> None:
        """Count one streaming event of a call."""
        call.add_event(event)
        if event.get("type") in _REPORTED_EVENTS:
            self._report()

    def add_message(self, call: ModelCall, message: Mapping[str, Any]) -> None:
        """Count a response that was not streamed."""
        call.add_message(message)

    def end_call(self, call: ModelCall, *, refused: bool = False) -> None:
        """Replace the reservation of a call by its cost: 0 if the upstream ``refused`` it, else what was reported.

        If the upstream did not report the usage, the reservation is the cost.
        """
        if call.in_progress:
            call.end(refused=refused)
            self._report()
            self._changed.notify()

    def revoke(self) -> None:
        """Invalidate the key, and charge calls in progress the most that they may cost."""
        if self.revoked:
            return
        self.revoked = True
        self._revoke(self)
        if self._meter.busy:
            self._meter.end_all()
            self._report()
        self._changed.notify()

    def _report(self) -> None:
        self.on_usage(self._meter.usage, self._meter.reserved)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.revoke()
