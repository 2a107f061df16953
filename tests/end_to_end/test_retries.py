"""One call is repeated in one place only: by Claude Code in a task, by the client for a completion."""

from __future__ import annotations

import pytest
from support.clients.client_kinds import ClientKind
from support.servers.messages_endpoint import Cut, Disconnect, Failure, Reply, message

from claude_code_client import ClaudeAPIError

from .conftest import Upstream

pytestmark = pytest.mark.xdist_group("upstream")

ATTEMPTS_OF_A_TASK = 3
"""Requests of one model call, as ``engine/launch.py`` tells Claude Code."""
BUSY = Failure(529, "overloaded_error", "busy")


@pytest.mark.parametrize(
    "failure",
    [
        BUSY,
        *(
            pytest.param(failure, marks=pytest.mark.long)
            for failure in (
                Failure(500), Failure(503), Failure(429, headers={"retry-after": "0"}), Disconnect(),
                Cut(message("a few words of text"), 3),
            )
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_model_call_of_a_task_is_repeated_by_claude_code_alone(upstream: Upstream, failure: Reply) -> None:
    upstream.endpoint.follow(lambda _: failure)
    task = upstream.local.execute_task("Count files", max_cost=1)
    assert task.status == "failed"
    assert len(upstream.endpoint.requests) == ATTEMPTS_OF_A_TASK


@pytest.mark.parametrize(("failure", "repeated"), [(BUSY, True), (Failure(500), True), (Disconnect(), False)], ids=str)
@pytest.mark.usefixtures("short_backoff")
def test_a_completion_is_repeated_by_the_client_alone(
    both: ClientKind, upstream: Upstream, failure: Reply, repeated: bool
) -> None:
    upstream.endpoint.follow(lambda _: failure)
    with pytest.raises(ClaudeAPIError):
        both.call(upstream.client(both).with_options(max_retries=2).complete("a"))
    assert len(upstream.endpoint.requests) == (3 if repeated else 1)
