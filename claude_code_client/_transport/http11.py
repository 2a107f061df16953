"""HTTP/1.1 of one connection, without I/O: h11 makes bytes of requests, and responses of bytes."""

from __future__ import annotations

from typing import Final

import h11
import httpcore

Headers = list[tuple[bytes, bytes]]

READ_SIZE: Final = 1 << 16
"""Bytes to read from the network at a time."""
_MAX_HEAD: Final = 100 * 1024
"""Bytes of the head of a response, or of a chunk's, beyond which it is not read."""


class Http11:
    """Exchanges of one connection, one after the other.

    Raises httpcore.RemoteProtocolError for a response that is not HTTP/1.1, and httpcore.LocalProtocolError for a
    request that is not.
    """

    def __init__(self) -> None:
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
        self._ended = False
        self._failure: httpcore.RemoteProtocolError | None = None
        """Problem with the body after the bytes that are still to be returned."""

    def head(self, method: str, target: str, headers: Headers) -> bytes:
        """Return the head of the next request."""
        self._ended = False
        try:
            return self._h11.send(h11.Request(method=method, target=target, headers=headers)) or b""
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error

    def data(self, data: bytes) -> bytes:
        """Return a part of the request's body as it is sent."""
        try:
            return self._h11.send(h11.Data(data=data)) or b""
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error

    def end(self) -> bytes:
        """Return the end of the request."""
        try:
            return self._h11.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error

    def receive(self, data: bytes) -> None:
        """Take what has been read; b"" at the end of the connection."""
        if not data and self._h11.their_state is h11.SEND_RESPONSE:
            raise httpcore.RemoteProtocolError("Server disconnected without sending a response.")
        self._h11.receive_data(data)

    def response(self) -> tuple[int, Headers] | None:
        """Return the status and the headers of the response; None if more has to be received first."""
        try:
            while True:
                event = self._h11.next_event()
                if isinstance(event, h11.Response):
                    return event.status_code, event.headers.raw_items()
                if event is h11.NEED_DATA:
                    return None
                # Anything else is a response that announces another one, such as 100 Continue.
        except h11.RemoteProtocolError as error:
            raise httpcore.RemoteProtocolError(str(error)) from error

    def body(self) -> bytes | None:
        """Return all bytes of the body that have come; b"" if more has to be received first, None at the end."""
        if self._failure is not None:
            raise self._failure
        pieces: list[bytes] = []
        while not self._ended:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                failure = httpcore.RemoteProtocolError(str(error))
                if not pieces:
                    raise failure from error
                self._failure = failure
                break
            if isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
            elif event is h11.NEED_DATA:
                break
            else:
                self._ended = True
        return b"".join(pieces) if pieces or not self._ended else None

    def finish(self) -> bool:
        """End the exchange; return whether the connection can be used for another one."""
        http = self._h11
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE or http.trailing_data[0]:
            return False  # bytes beyond the response would be taken for the next one
        http.start_next_cycle()
        return True
