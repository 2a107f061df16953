"""Finds the task, the granted tools and the tool results in a Messages request made by Claude Code."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from claude_code_server.offline.moves import Request, Result

_NOT_CALLABLE = frozenset({"DeferredToolPlaceholder"})


@dataclass(frozen=True, slots=True)
class Conversation:
    request: Request
    results: tuple[Result, ...]
    """In the order of the calls, since the task was set."""
    is_task: bool


def read_conversation(request: Mapping[str, Any]) -> Conversation:
    messages: Sequence[Mapping[str, Any]] = request.get("messages") or ()
    tools = frozenset(str(tool.get("name")) for tool in request.get("tools") or ()) - _NOT_CALLABLE
    text, start, tagged = _find_task(messages)
    return Conversation(
        request=Request(text=text, tools=tools),
        results=tuple(_results(messages[start:])),
        is_task=tagged or bool(tools),
    )


def _find_task(messages: Sequence[Mapping[str, Any]]) -> tuple[str, int, bool]:
    """The task's text, the index of the message after it, and whether it was marked as a task."""
    untagged: tuple[str, int, bool] | None = None
    for index in range(len(messages) - 1, -1, -1):
        blocks = _blocks(messages[index])
        # Text that comes along with tool results is Claude Code's own, such as the body of a skill.
        if messages[index].get("role") != "user" or any(b.get("type") == "tool_result" for b in blocks):
            continue
        for block in reversed(blocks):
            said = str(block.get("text", ""))
            if (task := _tagged_task(said)) is not None:
                return task, index + 1, True
            if said.strip() and not said.lstrip().startswith("<system-reminder>") and untagged is None:
                untagged = (said.strip(), index + 1, False)
    return untagged or ("", len(messages), False)


def _tagged_task(text: str) -> str | None:
    """The description in ``<task>…</task>``, which ``<context>…</context>`` may follow."""
    text = text.strip()
    if not text.startswith("<task>"):
        return None
    if text.endswith("</context>"):
        # No string of the JSON in the context holds a line break, so the last match is the right one.
        text = text.rpartition("</task>\n<context>")[0]
    elif text.endswith("</task>"):
        text = text.removesuffix("</task>")
    else:
        return None
    return text.removeprefix("<task>").strip()


def _results(messages: Sequence[Mapping[str, Any]]) -> Iterator[Result]:
    found: dict[str, Result] = {}
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
                found[str(block.get("tool_use_id"))] = Result(text, bool(block.get("is_error")))
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
