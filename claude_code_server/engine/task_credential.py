"""Credential of one task for the model proxy."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import attrs

from ..domain.engine_protocol import CancelToken
from ..domain.usage import Usage
from ..upstream.messages_stream import MessagesEvent
from ..upstream.protocol import UpstreamError
from .usage_meter import ModelCall, UsageMeter

_REPORTED_EVENTS: Final = ("message_start", "content_block_stop", "message_delta")
"""Events after which usage is reported: a few per call."""


def _new_key() -> str:
    return f"sk-task-{secrets.token_urlsafe(32)}"


@attrs.define(eq=False)
class TaskCredential:
    """Permission of one task to call the model, with the task's budget and usage; valid until it is revoked."""

    max_cost: float
    """USD."""
    cancellation: CancelToken
    on_usage: Callable[[Usage], object]
    """Called with the task's total usage, a few times per call."""
    _revoke: Callable[[TaskCredential], object]
    key: str = attrs.field(factory=_new_key, repr=False)
    last_error: UpstreamError | None = None
    """Error of the upstream's last response; None if that response was a success."""
    meter: UsageMeter = attrs.field(factory=UsageMeter, repr=False)

    @property
    def usage(self) -> Usage:
        return self.meter.usage

    def add_event(self, call: ModelCall, event: MessagesEvent) -> None:
        """Count one streaming event of a call."""
        call.add_event(event)
        if event.get("type") in _REPORTED_EVENTS:
            self.on_usage(self.usage)

    def add_message(self, call: ModelCall, message: Mapping[str, Any]) -> None:
        """Count a response that was not streamed."""
        call.add_message(message)
        self.on_usage(self.usage)

    def revoke(self) -> None:
        """Invalidate the key."""
        self._revoke(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.revoke()
