"""Offline model: Messages request to Messages response, without state. No I/O."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from .conversation import Conversation, may_be_task, parse_conversation
from .notices import ABOUT, NOTE, no_matching_rule
from .rule_selection import select_rule
from .structured_output import TOOL, UnfillableError, fill
from .tokens import count_output, count_request, truncate
from .tool_calls import Dialogue, ToolCall, ToolResult

_SORTED: Final = json.JSONEncoder(sort_keys=True, default=str)


def respond(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the response body for a Messages request body; equal requests get equal responses.

    A request with neither tools nor a ``<task>`` is a plain completion. Anything else is a task: the
    response is the next tool call, or the final text once the messages contain the results that it needs.
    """
    digest = hashlib.sha256(_SORTED.encode(request).encode()).hexdigest()
    step = _task_step(request) if may_be_task(request) else ABOUT
    content: list[dict[str, Any]]
    stop_reason, stop_sequence = "tool_use", None
    if isinstance(step, ToolCall):
        call = {
            "type": "tool_use",
            "id": f"toolu_{digest[:24]}",
            "name": step.name,
            "input": dict(step.input),
        }
        content = [{"type": "text", "text": step.text}, call]
    else:
        text, stop_reason, stop_sequence = _cut(step, request)
        content = [{"type": "text", "text": text}] if text else []
    return {
        # Claude Code merges responses with the same ID into one message.
        "id": f"msg_{digest[:24]}",
        "type": "message",
        "role": "assistant",
        "model": str(request.get("model", "")),
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "usage": {"input_tokens": count_request(request), "output_tokens": count_output(content)},
    }


def _task_step(request: Mapping[str, Any]) -> ToolCall | str:
    conversation = parse_conversation(request)
    return _structured(_next_step(conversation), request) if conversation.is_task else ABOUT


def _next_step(conversation: Conversation) -> ToolCall | str:
    dialogue = select_rule(conversation.task)
    if dialogue is None:
        return no_matching_rule(conversation.task)
    return _replay(dialogue, conversation.results)


def _structured(step: ToolCall | str, request: Mapping[str, Any]) -> ToolCall | str:
    """Return a final text as a call of the tool for structured results, if the request has it and the text fits."""
    schemas = [tool.get("input_schema") for tool in request.get("tools") or () if tool.get("name") == TOOL]
    if isinstance(step, ToolCall) or not schemas:
        return step
    try:
        return ToolCall(step, TOOL, fill(schemas[0], step.removesuffix(NOTE).strip()))
    except UnfillableError:
        return step


def _replay(dialogue: Dialogue, results: tuple[ToolResult, ...]) -> ToolCall | str:
    try:
        call = next(dialogue)
        for result in results:
            call = dialogue.send(result)
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
