"""Parser of the Messages requests that Claude Code sends: task, granted tools and tool results so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from .structured_output import TOOL
from .tool_calls import OfflineTask, ToolResult

_TAG = "<task>"
_NOT_CALLABLE = frozenset({"DeferredToolPlaceholder", TOOL})


@attrs.frozen
class Conversation:
    """A parsed Messages request."""

    task: OfflineTask
    results: tuple[ToolResult, ...]
    """Results since the start of the task, in the order of the calls."""
    is_task: bool


def parse_conversation(request: Mapping[str, Any]) -> Conversation:
    """Parse the body of a Messages request."""
    messages: Sequence[Mapping[str, Any]] = request.get("messages") or ()
    tools = frozenset(str(tool.get("name")) for tool in request.get("tools") or ()) - _NOT_CALLABLE
    text, start, tagged = _find_task(messages)
    return Conversation(
        task=OfflineTask(text=text, tools=tools),
        results=tuple(_results(messages[start:])),
        is_task=tagged or bool(tools),
    )


def may_be_task(request: Mapping[str, Any]) -> bool:
    """Return False for a plain completion that is quickly seen to be one."""
    contents = [message.get("content") for message in request.get("messages") or ()]
    return bool(request.get("tools")) or any(not isinstance(text, str) or _TAG in text for text in contents)


def _find_task(messages: Sequence[Mapping[str, Any]]) -> tuple[str, int, bool]:
    """Return the task's text, the index of the next message, and whether the text was tagged as a task."""
    untagged: tuple[str, int, bool] | None = None
    for index in range(len(messages) - 1, -1, -1):
        blocks = _blocks(messages[index])
        # Text beside tool results comes from Claude Code itself, such as the body of a skill.
        if messages[index].get("role") != "user" or any(b.get("type") == "tool_result" for b in blocks):
            continue
        for block in reversed(blocks):
            content = str(block.get("text", ""))
            if (task := _tagged_task(content)) is not None:
                return task, index + 1, True
            if content.strip() and not content.lstrip().startswith("<system-reminder>") and untagged is None:
                untagged = (content.strip(), index + 1, False)
    return untagged or ("", len(messages), False)


def _tagged_task(text: str) -> str | None:
    """Return the description in ``<task>…</task>``, which ``<context>…</context>`` may follow."""
    text = text.strip()
    if not text.startswith(_TAG):
        return None
    if text.endswith("</context>"):
        # JSON strings contain no line breaks, so the last match is the end of the task.
        text = text.rpartition("</task>\n<context>")[0]
    elif text.endswith("</task>"):
        text = text.removesuffix("</task>")
    else:
        return None
    return text.removeprefix(_TAG).strip()


def _results(messages: Sequence[Mapping[str, Any]]) -> Iterator[ToolResult]:
    found: dict[str, ToolResult] = {}
    called: list[str] = []
    for message in messages:
        blocks = _blocks(message)
        beside = "\n".join(str(b["text"]) for b in blocks if b.get("type") == "text")
        for block in blocks:
            if block.get("type") == "tool_use":
                called.append(str(block.get("id")))
            elif block.get("type") == "tool_result":
                text = _text_of(block.get("content"))
                if text.startswith("Launching skill"):
                    text = beside
                found[str(block.get("tool_use_id"))] = ToolResult(text, bool(block.get("is_error")))
    return (found[call] for call in called if call in found)


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content or () if isinstance(block, Mapping)]


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(
        str(block.get("text", f"[{block.get('type')}]")) for block in content or () if isinstance(block, Mapping)
    )
