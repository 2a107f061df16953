"""A recorded task, sent again by a server that cuts its event streams where a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from support.fault_proxy.faults import Way
from support.servers import raw_http
from support.servers.recorded_task import Recording

Cuts = Callable[[int], int | None]
"""Given the Last-Event-ID, how many bytes of the response go out before the connection ends; None for all of them."""


class Replay(raw_http.SocketServer):
    """Answers as the recorded server did."""

    def __init__(self, recording: Recording, way: Way = "fin") -> None:
        super().__init__(self._answer)
        self._recording = recording
        self._way = way
        self.cuts: Cuts = lambda _: None
        self.cut = 0
        """How many streams were cut."""
        self.submits = 0
        self.opened = 0
        """How many streams were asked for."""

    @property
    def address(self) -> tuple[str, int]:
        url = urlsplit(self.base_url)
        assert url.hostname is not None
        assert url.port is not None
        return url.hostname, url.port

    def _answer(self, request: raw_http.Request) -> Iterator[bytes]:
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
    """Cuts every event once, at that byte of it; every connection but the first brings an event more."""
    events = iter(number for number, (start, end) in recording.spans[0].items() if byte < end - start)

    def cuts(after: int) -> int | None:
        number = next(events, None)
        return None if number is None else recording.spans[after][number][0] + byte

    return cuts
