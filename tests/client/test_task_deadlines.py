"""The deadlines of a call about a task."""

from __future__ import annotations

import pytest

from claude_code_client._operations.task_deadlines import CANCEL_TIMEOUT, LONG_POLL, TaskDeadlines, cancel_deadline

NOW = 1000.0


@pytest.mark.parametrize("timeout", [0.001, 1.0, 10.0, 50.0, 300.0, 1e8])
def test_a_call_exceeds_its_timeout_by_a_tenth_at_most_and_never_by_more_than_5_seconds(timeout: float) -> None:
    deadlines = TaskDeadlines.starting_at(NOW, timeout)
    assert NOW + timeout < deadlines.call < deadlines.grace_deadline(NOW)
    exceeded = deadlines.grace_deadline(deadlines.call) - NOW - timeout
    assert exceeded == pytest.approx(min(timeout / 10, 5.0), rel=1e-6)


def test_a_call_expires_at_its_deadline() -> None:
    deadlines = TaskDeadlines.starting_at(NOW, 10.0)
    assert deadlines.call == 1010.5
    assert not deadlines.is_expired(1010.4)
    assert deadlines.is_expired(1010.5)


def test_grace_starts_at_the_deadline_or_when_the_call_notices() -> None:
    deadlines = TaskDeadlines.starting_at(NOW, 10.0)
    assert deadlines.grace_deadline(NOW) == 1011.0
    assert deadlines.grace_deadline(1010.5) == 1011.0
    assert deadlines.grace_deadline(1012.0) == 1012.5


def test_cancelling_delays_nobody_for_long() -> None:
    assert cancel_deadline(NOW) == NOW + CANCEL_TIMEOUT
    assert TaskDeadlines.starting_at(NOW, 300.0).cleanup_deadline(NOW) == NOW + CANCEL_TIMEOUT
    # A call that has little time left takes no more than that.
    assert TaskDeadlines.starting_at(NOW, 1.0).cleanup_deadline(NOW) == pytest.approx(NOW + 1.1)


@pytest.mark.parametrize(("stall_timeout", "seconds"), [(1.0, 0.1), (10.0, 1.0), (600.0, CANCEL_TIMEOUT), (None, 0.0)])
def test_cancelling_a_stalled_task_delays_its_exception_by_a_tenth_at_most(
    stall_timeout: float | None, seconds: float
) -> None:
    deadlines = TaskDeadlines.starting_at(NOW, 300.0, stall_timeout)
    assert deadlines.stall_deadline(NOW) == pytest.approx(NOW + seconds)


@pytest.mark.parametrize(
    ("now", "seconds"), [(NOW, LONG_POLL), (1277.5, LONG_POLL), (1285.0, 18), (1302.4, 1), (1302.5, 0), (1400.0, 0)]
)
def test_a_request_waits_no_longer_than_the_call(now: float, seconds: float) -> None:
    deadlines = TaskDeadlines.starting_at(NOW, 300.0)
    assert deadlines.call == 1302.5
    assert deadlines.long_poll(now) == seconds


def test_deadlines_do_not_change() -> None:
    deadlines = TaskDeadlines.starting_at(NOW, 10.0)
    with pytest.raises(AttributeError):
        deadlines.call = 0.0  # type: ignore[misc]
