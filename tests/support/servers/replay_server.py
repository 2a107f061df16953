"""Raw HTTP server that replays a recorded task and cuts its event streams where a test chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from support.fault_proxy.faults import Way
from support.servers import raw_http
from support.servers.recorded_task import Recording

Cuts = Callable[[int], int | None]
"""Returns the bytes to send before the connection ends, for a Last-Event-ID; None sends the whole stream."""


class Replay(raw_http.SocketServer):
    """Server with the responses of the recorded one."""

    def __init__(self, recording: Recording, way: Way = "fin") -> None:
        super().__init__(self._respond)
        self._recording = recording
        self._way = way
        self.cuts: Cuts = lambda _: None
        self.cut = 0
        """Number of streams that were cut."""
        self.submits = 0
        self.opened = 0
        """Number of streams that were requested."""

    @property
    def address(self) -> tuple[str, int]:
        url = urlsplit(self.base_url)
        assert url.hostname is not None
        assert url.port is not None
        return url.hostname, url.port

    def _respond(self, request: raw_http.Request) -> Iterator[bytes]:
        match request.method, request.path:
            case "POST", "/v1/task":
                self.submits += 1
                yield self._recording.submitted
            case "GET", path if path == f"/v1/task/{self._recording.task_id}/events":
                self.opened += 1
                yield from self._stream(request)
            case _:
                raise AssertionError(request)

    def _stream(self, request: raw_http.Request) -> Iterator[bytes]:
        after = int(request.headers.get("last-event-id", 0))
        stream = self._recording.streams[after]
        at = self.cuts(after)
        if at is None:
            yield stream
            return
        self.cut += 1
        yield stream[:at]
        self.end_connection(request, self._way)


def each_event(recording: Recording, byte: int) -> Cuts:
    """Cut every event once, at that byte of it; every connection after the first delivers one more event."""
    events = iter(number for number, (start, end) in recording.spans[0].items() if byte < end - start)

    def cuts(after: int) -> int | None:
        number = next(events, None)
        return None if number is None else recording.spans[after][number][0] + byte

    return cuts
