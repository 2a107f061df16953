"""HTTP connections of uvicorn, with deadlines for what clients send and errors in the contract's form."""

from __future__ import annotations

import asyncio
import enum
import json
from typing import Any, Final, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from claude_code_common.error_types import ERROR_TYPE_BY_STATUS

from ..domain.names import new_id
from .connection_limits import ConnectionLimits, OpenConnections
from .head_with_body import HeadWithBody

AUTHENTICATED: Final = "authenticated"
"""Name in a request's ASGI state that is set to True once its key has been accepted."""
_MIN_RATE: Final = 1000
"""Bytes per second that a body must make on average, over each ``body_timeout``."""
_READ_SIZE: Final = 32_768
"""Bytes to read at once: what arrives in one piece may have to be kept until the request's key is accepted."""
_FLUSH: Final = 5.0
"""Seconds that a client may take to read the rest of a response after the server has closed the connection."""
_CAN_RESPOND: Final = (h11.IDLE, h11.SEND_RESPONSE)
"""States of a connection in which no response has started."""


class _Phase(enum.Enum):
    """Part of a request that a connection waits for."""

    IDLE = enum.auto()
    """The next request; uvicorn's keep-alive timeout applies."""
    HEAD = enum.auto()
    """The rest of a request's head."""
    BODY = enum.auto()
    """The rest of a request's body."""
    UNUSED_BODY = enum.auto()
    """The rest of a body that the response did not wait for."""
    RESPONSE = enum.auto()
    """The response, which has no deadline if the request had a key."""


class RequestProtocol(H11Protocol):
    """One connection. Deadlines apply to requests, and to responses only while no key has been accepted."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        limits: ConnectionLimits,
        connections_open: OpenConnections,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._limits = limits
        self._open = connections_open
        self._phase = _Phase.IDLE
        self._timer: asyncio.TimerHandle | None = None
        self._received = 0
        self._received_before = 0
        self._had_key = False

    @property
    def authenticated(self) -> bool:
        """True if a request on this connection had an accepted key."""
        if not self._had_key and self.scope is not None:
            self._had_key = self.scope.get("state", {}).get(AUTHENTICATED) is True
        return self._had_key

    @property
    def idle(self) -> bool:
        """True if no request on this connection is waiting for its response."""
        return self.cycle is None or self.cycle.response_complete

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit or refuse a new connection."""
        # asyncio reads 256 KiB by default, and has no other way to change this.
        setattr(transport, "max_size", _READ_SIZE)  # noqa: B010 (no public attribute)
        super().connection_made(transport)
        # For flow control, the transport itself; for responses, one that sends head and body together.
        self.transport = cast(asyncio.Transport, HeadWithBody(transport, self.loop))
        if self._open.admit(self):
            self._enter(_Phase.HEAD)
        else:
            self._refuse(503, "Too many connections are open. Try again later.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what the connection holds."""
        self._open.remove(self)
        self._cancel_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and watch over what is still missing."""
        if self.transport.is_closing():
            return
        self._received += len(data)
        super().data_received(data)
        self._enter(self._current_phase(_Phase.HEAD))

    def on_response_complete(self) -> None:
        """Watch over the rest of the request, or the next one."""
        _ = self.authenticated  # The next request replaces the state that this property reads.
        self.cycle.body.clear()  # What the application has not read, nobody needs any more.
        super().on_response_complete()
        started = bool(self.conn.trailing_data[0])
        self._enter(self._current_phase(_Phase.HEAD if started else _Phase.IDLE))

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is not HTTP, or whose head is too large."""
        most = self._limits.max_head_bytes
        if len(self.conn.trailing_data[0]) > most:
            self._refuse(431, f"The head of the request is larger than {most} bytes. Send fewer or shorter headers.")
            return
        self._refuse(400, f"{msg} The connection is closed.")

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    def _current_phase(self, between_requests: _Phase) -> _Phase:
        if self.conn.their_state is h11.IDLE:
            return between_requests
        if self.conn.their_state is h11.SEND_BODY:
            return _Phase.BODY if self.conn.our_state is h11.SEND_RESPONSE else _Phase.UNUSED_BODY
        return _Phase.RESPONSE

    def _enter(self, phase: _Phase) -> None:
        if phase is self._phase or self.transport.is_closing():
            return
        self._cancel_timer()
        self._phase = phase
        if phase is not _Phase.IDLE and not (phase is _Phase.RESPONSE and self._had_key):
            self._start_timer(self._limits.head_timeout if phase is _Phase.HEAD else self._limits.body_timeout)

    def _start_timer(self, seconds: float) -> None:
        self._received_before = self._received
        self._timer = self.loop.call_later(seconds, self._expire)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        match self._phase:
            case _Phase.HEAD if not self.conn.trailing_data[0]:
                self._close()
            case _Phase.HEAD:
                self._refuse(408, f"The head of the request took longer than {self._limits.head_timeout:g} s.")
            case _Phase.BODY if self._received - self._received_before >= _MIN_RATE * self._limits.body_timeout:
                self._start_timer(self._limits.body_timeout)
            case _Phase.BODY:
                # The application must not wait for the body, nor respond to the request.
                self.cycle.disconnected = True
                self.cycle.message_event.set()
                self._refuse(408, f"The body of the request made no progress for {self._limits.body_timeout:g} s.")
            case _Phase.UNUSED_BODY:
                self.abort()
            case _Phase.RESPONSE if not self.authenticated:
                self.abort()
            case _:
                pass

    def _refuse(self, status: int, message: str) -> None:
        """Send an error response, unless another response has started, and close the connection."""
        if self.conn.our_state in _CAN_RESPOND:
            request_id = new_id("req")
            error = {"type": ERROR_TYPE_BY_STATUS[status], "message": message}
            body = json.dumps({"error": error, "request_id": request_id}).encode()
            headers = [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("Connection", "close"),
                ("X-Request-Id", request_id),
            ]
            response = h11.Response(status_code=status, headers=headers)
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self._close()

    def _close(self) -> None:
        self._cancel_timer()
        self.transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        """Abort the connection if its client does not read what it was sent."""
        self._timer = self.loop.call_later(_FLUSH, self.abort)
