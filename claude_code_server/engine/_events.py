"""Claude Code's messages as the contract's events. No I/O.

Works on the fields of the SDK's messages, not on its classes, whose import takes a second.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from claude_code_server.engine.base import EventType

_LINE = 160
_RESULT_CHARACTERS = 50_000
_FRAME = re.compile(r"\A<(?P<name>tools-used-before-summary)>.*?</(?P=name)>\s*", re.DOTALL)
"""What Claude Code puts before a subagent's report."""
_SPAWNING = {"Agent", "Task"}
_WRITING = {"Write": "file_path", "Edit": "file_path", "NotebookEdit": "notebook_path"}
_TELLING = ("command", "file_path", "notebook_path", "pattern", "url", "query", "subject", "description", "prompt")


@dataclass(frozen=True, slots=True)
class Event:
    type: EventType
    content: str
    fields: Mapping[str, Any] = field(default_factory=dict)


class Events:
    """Reads the messages of one run in order.

    A text is a thought when something follows it and the answer when nothing does: the last is held back.
    """

    def __init__(self) -> None:
        self.written: set[str] = set()
        """Paths that writing tools were called with and reported success for."""
        self._held: list[str] = []
        self._held_of: str | None = None
        self._calls: dict[tuple[str | None, str], tuple[str, Mapping[str, Any]]] = {}

    @property
    def answer(self) -> str:
        """The text that nothing has followed so far."""
        return "\n\n".join(self._held)

    def read(self, message: Any) -> Iterator[Event]:
        """The events of one message of the SDK; none for the kinds that tell nothing new."""
        content = getattr(message, "content", None)
        if not isinstance(content, list) or getattr(message, "error", None):
            return
        parent = getattr(message, "parent_tool_use_id", None)
        for block in content:
            match type(block).__name__:
                case "ThinkingBlock":
                    yield from self._release()
                    yield from self._thinking([block.thinking])
                case "TextBlock" if type(message).__name__ == "AssistantMessage" and parent is None:
                    yield from self._text(block.text, getattr(message, "message_id", None))
                case "ToolUseBlock":
                    yield from self._release()
                    yield self._call(parent, block)
                case "ToolResultBlock":
                    yield from self._release()
                    yield self._result(parent, block, getattr(message, "tool_use_result", None))

    def _text(self, text: str, of: str | None) -> Iterator[Event]:
        if of != self._held_of:
            yield from self._release()
        self._held.append(text)
        self._held_of = of

    def _release(self) -> Iterator[Event]:
        held, self._held = self._held, []
        yield from self._thinking(held)

    @staticmethod
    def _thinking(texts: Iterable[str]) -> Iterator[Event]:
        for text in texts:
            if text.strip():
                yield Event("thinking", text.strip())

    def _call(self, parent: str | None, block: Any) -> Event:
        given: Mapping[str, Any] = block.input if isinstance(block.input, Mapping) else {}
        tool = "Agent" if block.name in _SPAWNING else block.name
        self._calls[parent, block.id] = (tool, given)
        if tool == "Agent":
            agent, reason = str(given.get("subagent_type") or ""), str(given.get("description") or "")
            return Event(
                "agent_spawn",
                line(f"{agent}: {reason}"),
                {"agent": agent, "reason": reason, "call_id": block.id},
            )
        if tool == "Skill":
            skill = str(given.get("skill") or given.get("command") or "").rpartition(":")[2]
            asked = given.get("args") or ""
            fields = {"skill": skill, "input": asked, "call_id": block.id}
            return Event("skill_invoke", line(f"{skill} {asked}"), fields)
        told = next((str(given[name]) for name in _TELLING if given.get(name)), "")
        fields = {"tool": tool, "arguments": dict(given), "call_id": block.id}
        return Event("tool_call", line(f"{tool}: {told}" if told else tool), fields)

    def _result(self, parent: str | None, block: Any, structured: Any) -> Event:
        tool, given = self._calls.get((parent, block.tool_use_id), ("", {}))
        status = "error" if block.is_error else "success"
        if status == "success" and (path := given.get(_WRITING.get(tool, ""))):
            self.written.add(str(path))
        report = structured.get("content") if tool == "Agent" and isinstance(structured, Mapping) else None
        text = _FRAME.sub("", plain(report or block.content))
        return Event(
            "tool_result",
            line(text) or status,
            {"tool": tool, "call_id": block.tool_use_id, "status": status, "result": bounded(text)},
        )


def plain(content: Any) -> str:
    """The text of a tool result; what is not text is named by its kind."""
    if isinstance(content, str):
        return content.removeprefix("<tool_use_error>").removesuffix("</tool_use_error>")
    if not isinstance(content, list):
        return ""
    parts = (part for part in content if isinstance(part, Mapping))
    return "\n".join(str(part["text"]) if "text" in part else f"[{part.get('type')}]" for part in parts)


def bounded(text: str) -> str:
    """At most 50,000 characters, and how many were left out."""
    if len(text) <= _RESULT_CHARACTERS:
        return text
    return f"{text[:_RESULT_CHARACTERS]}\n… ({len(text) - _RESULT_CHARACTERS} more characters)"


def line(text: str) -> str:
    """The first line that says something, shortened."""
    first = next((part.strip() for part in text.splitlines() if part.strip()), "")
    return first if len(first) <= _LINE else f"{first[: _LINE - 1]}…"
