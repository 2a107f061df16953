"""Events of a network that decide whether a call may be sent again."""

from __future__ import annotations

from typing import Protocol


class NetworkEvents(Protocol):
    """Receiver of the events of one attempt."""

    def connecting(self) -> None:
        """Note that a new connection is being opened."""

    def sending(self) -> None:
        """Note that bytes are being sent to the server."""

    def not_sent(self) -> None:
        """Note that the start of the request could not be sent."""
