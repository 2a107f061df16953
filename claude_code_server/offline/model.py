"""From a Messages request to a Messages response. Pure: whatever it knows is in the request."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from claude_code_server.offline.conversation import Conversation, read_conversation
from claude_code_server.offline.moves import Call, Result, Talk
from claude_code_server.offline.plan import plan
from claude_code_server.offline.statements import ABOUT, NOTE, not_understood
from claude_code_server.offline.tokens import count_output, count_request, truncate


def reply(request: Mapping[str, Any]) -> dict[str, Any]:
    """The response body to a Messages request body; the same request always gets the same response.

    A request with neither tools nor a ``<task>`` is a plain completion. Anything else is a task: the
    response is the next tool call, or the final text once the results it needs are in the messages.
    """
    digest = hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()
    conversation = read_conversation(request)
    step = _next_step(conversation) if conversation.is_task else ABOUT
    content: list[dict[str, Any]]
    stop_reason, stop_sequence = "tool_use", None
    if isinstance(step, Call):
        call = {
            "type": "tool_use",
            "id": f"toolu_{digest[:24]}",
            "name": step.name,
            "input": dict(step.input),
        }
        content = [{"type": "text", "text": step.say}, call]
    else:
        text, stop_reason, stop_sequence = _cut(step, request)
        content = [{"type": "text", "text": text}] if text else []
    return {
        # Claude Code merges responses of the same id into one message.
        "id": f"msg_{digest[:24]}",
        "type": "message",
        "role": "assistant",
        "model": str(request.get("model", "")),
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "usage": {"input_tokens": count_request(request), "output_tokens": count_output(content)},
    }


def _next_step(conversation: Conversation) -> Call | str:
    talk = plan(conversation.request)
    if talk is None:
        return not_understood(conversation.request)
    return _replay(talk, conversation.results)


def _replay(talk: Talk, results: tuple[Result, ...]) -> Call | str:
    try:
        call = next(talk)
        for result in results:
            call = talk.send(result)
    except StopIteration as end:
        return f"{end.value}\n\n{NOTE}"
    return call


def _cut(text: str, request: Mapping[str, Any]) -> tuple[str, str, str | None]:
    limit = request.get("max_tokens")
    kept = truncate(text, limit) if isinstance(limit, int) else text
    stops = [stop for stop in request.get("stop_sequences") or () if stop and stop in kept]
    if stops:
        first = min(stops, key=kept.index)
        return kept[: kept.index(first)], "stop_sequence", first
    return kept, "end_turn" if kept == text else "max_tokens", None
