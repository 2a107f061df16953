"""A scripted Messages endpoint as the upstream: its texts are returned, its tool calls executed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.clients.client_kinds import ClientKind
from support.servers.messages_endpoint import ScriptedMessages, Whole, message, tool

from .conftest import CANARY, ONE_CLIENT, Upstream

pytestmark = pytest.mark.xdist_group("upstream")


def test_text_and_usage_of_the_upstream_are_returned(both: ClientKind, upstream: Upstream) -> None:
    endpoint, client = upstream.endpoint, upstream.client(both)
    endpoint.follow([message("Python is a language.", input_tokens=1000, output_tokens=2000)])
    reply = both.call(client.complete("What is Python?", model="sonnet", max_tokens=99, stop=["END"]))
    assert reply.content == "Python is a language."
    assert reply.usage.total_tokens == 3000
    assert reply.usage.cost == pytest.approx(1000 * 2e-6 + 2000 * 10e-6)
    [request] = endpoint.requests
    assert request.headers["x-api-key"] == CANARY
    assert request.body["messages"] == [{"role": "user", "content": "What is Python?"}]
    assert (request.body["max_tokens"], request.body["stop_sequences"]) == (99, ["END"])


@ONE_CLIENT
@pytest.mark.usefixtures("new_server")
def test_tool_calls_are_executed_and_the_key_stays_in_the_server(
    both: ClientKind, workspace: Path, temp_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    script = [
        message("I will look around.", tool("Bash", command="env; cat /proc/$PPID/environ | tr '\\0' '\\n'; id -u")),
        message(tool("Write", file_path="made.txt", content="made")),
        message("Done."),
    ]
    with ScriptedMessages(script) as endpoint:
        client = both.local(workspace, upstream=endpoint.url, anthropic_api_key=CANARY, state_dir=state)
        events = list(both.each(client.stream_task("Look around", allow_tools=["Bash", "Write"])))
    assert events[-1]["status"] == "completed"
    assert events[-1]["summary"] == "Done."
    assert [artifact["path"] for artifact in events[-1]["artifacts"]] == ["made.txt"]
    seen = next(event["result"] for event in events if event["type"] == "tool_result")
    assert "HOME=" in seen
    assert CANARY not in str(events)
    assert {request.headers["x-api-key"] for request in endpoint.requests} == {CANARY}
    for folder in (state, temp_dir, workspace):
        for path in folder.rglob("*"):
            assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path
    assert any(state.iterdir())
    assert CANARY not in "".join(capfd.readouterr())


@ONE_CLIENT
def test_an_upstream_that_ignores_stream(both: ClientKind, upstream: Upstream) -> None:
    client = upstream.client(both)
    upstream.endpoint.follow(
        [
            Whole(message(tool("Bash", command="echo hello"))),
            Whole(message("Done.")),
            Whole(message("A language.")),
        ]
    )
    *events, last = both.each(client.stream_task("Work", allow_tools=["Bash"]))
    assert (last["status"], last["summary"], last["usage"]["input_tokens"]) == ("completed", "Done.", 200)
    assert [event["result"] for event in events if event["type"] == "tool_result"] == ["hello"]
    *pieces, reply = both.each(client.stream_complete("What is Python?"))
    assert "".join(pieces) == reply.content == "A language."
