"""Costs of recovered tasks: each is reserved once and settled once, however often the recovery fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses

from claude_code_client.errors import ClaudeAPIError, CostExceededError


class TaskServer(raw_http.SocketServer):
    """Server of one task, whose responses can be replaced."""

    def __init__(self) -> None:
        super().__init__(self._respond)
        self.status = "running"
        self.fault: list[bytes] | None = []
        """Response to submits; None cuts the connection, [] accepts them."""

    def _respond(self, request: raw_http.Request) -> Any:
        if request.path.endswith("/health"):
            return raw_http.response(200, responses.health())
        if request.method == "GET":
            return raw_http.response(200, responses.task(self.status))
        if request.path.endswith("/cancel"):
            return raw_http.response(200, responses.task("cancelled"))
        return raw_http.response(202, responses.task(self.status)) if self.fault == [] else self.fault


@pytest.fixture
def server() -> Iterator[TaskServer]:
    with raw_http.serve(TaskServer()) as server:
        yield server


def crashed(both: ClientKind, server: TaskServer, journal: Path, *, confirmed: bool = True) -> None:
    """Leave a running task in the journal."""
    client = both.client(server.base_url, journal=journal, max_retries=0)
    if confirmed:
        both.call(client.submit_task("x")).detach()
        return
    server.fault = None
    with pytest.raises(ClaudeAPIError):
        both.call(client.submit_task("x"))
    server.fault = []


REFUSAL = raw_http.response(503, responses.error("overloaded_error"))


@pytest.mark.parametrize(("fault", "reserved"), [(REFUSAL, 0), (None, 1)], ids=["refused", "outcome unknown"])
def test_failed_recoveries_reserve_at_most_once(
    both: ClientKind, server: TaskServer, tmp_path: Path, fault: Any, reserved: float
) -> None:
    crashed(both, server, tmp_path / "journal", confirmed=False)
    client = both.client(server.base_url, journal=tmp_path / "journal", max_retries=0)
    server.fault = fault
    with client.budget(1.5) as budget:
        for _ in range(3):
            with pytest.raises(ClaudeAPIError) as caught:
                both.call(client.recover())
            assert not isinstance(caught.value, CostExceededError)
            assert (budget.reserved, budget.spent) == (reserved, 0)
        server.fault = []
        [handle] = both.call(client.recover())
        assert (budget.reserved, budget.spent) == (1, 0)
        both.call(handle.cancel())
        assert (budget.reserved, budget.spent) == (0, 0.5)
    assert both.call(client.recover()) == []


def test_settled_task_that_the_journal_still_has_is_not_settled_again(
    both: ClientKind, server: TaskServer, tmp_path: Path
) -> None:
    """As while another call is about to note its end, or after a full disk."""
    path = tmp_path / "journal"
    client = both.client(server.base_url, journal=path)
    with client.budget(5) as budget:
        handle = both.call(client.submit_task("x"))
        path.rename(tmp_path / "aside")
        path.mkdir()  # no file that could be written
        both.call(handle.cancel())
        assert (budget.reserved, budget.spent) == (0, 0.5)
        path.rmdir()
        (tmp_path / "aside").rename(path)
        server.status = "cancelled"
        assert len(both.call(client.recover())) == 1
        assert (budget.reserved, budget.spent) == (0, 0.5)
        assert both.call(client.recover()) == []


def test_recovery_takes_over_the_reservation_of_a_failed_call(
    both: ClientKind, server: TaskServer, tmp_path: Path
) -> None:
    client = both.client(server.base_url, journal=tmp_path / "journal", max_retries=0)
    with client.budget(1.5) as budget:
        server.fault = None
        with pytest.raises(ClaudeAPIError):
            both.call(client.execute_task("x"))
        assert budget.reserved == 1
        server.fault = []
        [handle] = both.call(client.recover())
        with client.budget(2) as later:
            [handle] = both.call(client.recover())
            assert (budget.reserved, later.reserved) == (1, 1)
            both.call(handle.cancel())
            assert (budget.reserved, budget.spent, later.reserved, later.spent) == (0, 0.5, 0, 0.5)


def test_running_task_is_reserved_and_settled(both: ClientKind, server: TaskServer, tmp_path: Path) -> None:
    crashed(both, server, tmp_path / "journal")
    client = both.client(server.base_url, journal=tmp_path / "journal")
    with client.budget(5) as budget:
        [handle] = both.call(client.recover())
        assert (budget.reserved, budget.spent) == (1, 0)
        server.status = "completed"
        both.call(handle.wait())
        assert (budget.reserved, budget.spent) == (0, 0.5)


def test_ended_task_is_settled(both: ClientKind, server: TaskServer, tmp_path: Path) -> None:
    """Its cost is a fact, whatever the budget allows."""
    crashed(both, server, tmp_path / "journal")
    server.status = "completed"
    client = both.client(server.base_url, journal=tmp_path / "journal")
    with client.budget(0.75) as budget:
        [handle] = both.call(client.recover())
        assert (handle.status, budget.reserved, budget.spent) == ("completed", 0, 0.5)
        assert both.call(client.recover()) == []
        assert (budget.reserved, budget.spent) == (0, 0.5)


def test_failure_leaves_ended_tasks_to_the_next_recovery(both: ClientKind, server: TaskServer, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    crashed(both, server, journal)
    crashed(both, server, journal, confirmed=False)
    server.status, server.fault = "completed", REFUSAL
    client = both.client(server.base_url, journal=journal, max_retries=0)
    with client.budget(5) as budget:
        for _ in range(2):
            with pytest.raises(ClaudeAPIError):
                both.call(client.recover())
            assert (budget.reserved, budget.spent) == (0, 0)
        server.fault = []
        assert len(both.call(client.recover())) == 2
        assert (budget.reserved, budget.spent) == (0, 1)


def test_task_that_no_budget_allows(both: ClientKind, server: TaskServer, tmp_path: Path) -> None:
    for _ in range(2):
        crashed(both, server, tmp_path / "journal")
    client = both.client(server.base_url, journal=tmp_path / "journal")
    with client.budget(1.5) as budget:
        for _ in range(2):
            with pytest.raises(CostExceededError, match=r"larger budget"):
                both.call(client.recover())
            assert (budget.reserved, budget.spent) == (0, 0)
    assert len(both.call(client.recover())) == 2


@pytest.mark.parametrize("by", ["get_task", "cancel_task", "stream_events", "stream_events with an error"])
def test_cost_of_a_task_becomes_known_by_its_id(both: ClientKind, server: TaskServer, by: str) -> None:
    """However the end of a task is learned, its reservation gives way to its cost."""
    handle, failed = server.handle, by.endswith("error")
    last = responses.event(1, "error", error={"message": "x"}) if failed else responses.result_event(1)

    def respond(request: raw_http.Request) -> Any:
        return raw_http.event_stream(last) if request.path.endswith("/events") else handle(request)

    server.handle = respond
    client = both.client(server.base_url)
    with client.budget(5) as budget:
        both.call(client.submit_task("x")).detach()
        assert (budget.reserved, budget.spent) == (1, 0)
        if by in ("get_task", "cancel_task"):
            server.status = "completed"
            both.call(getattr(client, by)("task_1"))
        elif failed:
            server.status = "failed"
            with pytest.raises(ClaudeAPIError):
                list(both.each(client.stream_events("task_1")))
        else:
            list(both.each(client.stream_events("task_1")))
        assert (budget.reserved, budget.spent) == (0, 0.5)
        # Whoever learns it again settles nothing twice.
        both.call(client.cancel_task("task_1"))
        assert (budget.reserved, budget.spent) == (0, 0.5)
