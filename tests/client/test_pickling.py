"""Objects that belong to their process say so when they are pickled or copied."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.servers.scripted_stream import scripted_stream, send_then_end, thinking_events

from claude_code_client import ConfigurationError


@pytest.mark.parametrize("kind", ["handle", "task stream", "completion stream", "list", "budget"])
def test_clear_error(both: ClientKind, kind: str) -> None:
    with scripted_stream(send_then_end(thinking_events(1))) as (server, _):
        client = both.client(server.base_url)
        with client.budget(5) as budget:
            subject: Any
            match kind:
                case "handle":
                    subject, hint = both.call(client.submit_task("x")), "pass its id"
                case "task stream":
                    subject, hint = client.stream_task("x"), "last_event_id"
                case "completion stream":
                    subject, hint = client.stream_complete("x"), "pass on its items"
                case "list":
                    subject, hint = client.list_tasks(), "pass on its items"
                case _:
                    subject, hint = budget, "each process"
            for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(ConfigurationError, match=hint):
                    attempt(subject)
