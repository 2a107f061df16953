"""Translation of Claude Code's messages into the events of the contract. No I/O.

The code reads the fields of the SDK's message classes without importing them: that import takes a second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from ..domain.engine_protocol import EventType

_MAX_LINE: Final = 160
_MAX_RESULT: Final = 50_000
_REPORT_PREFIX: Final = re.compile(r"\A<(?P<name>tools-used-before-summary)>.*?</(?P=name)>\s*", re.DOTALL)
"""Text that Claude Code puts before a subagent's report."""
_AGENT_TOOLS: Final = {"Agent", "Task"}
STRUCTURED_OUTPUT: Final = "StructuredOutput"
"""Tool through which Claude Code takes a structured result: no step of the task, and so no event."""
_WRITE_TOOLS: Final = {"Write": "file_path", "Edit": "file_path", "NotebookEdit": "notebook_path"}
_DESCRIPTIVE_ARGUMENTS: Final = (
    "command",
    "file_path",
    "notebook_path",
    "pattern",
    "url",
    "query",
    "subject",
    "description",
    "prompt",
)


@attrs.frozen
class EngineEvent:
    """An event before the server numbers and stores it."""

    type: EventType
    content: str
    fields: Mapping[str, Any] = attrs.field(factory=dict)


class EventReader:
    """Reader of the messages of one run, in order.

    Text is a thought if something follows it, and the final text otherwise: the reader holds back the last text.
    """

    def __init__(self) -> None:
        self.written: set[str] = set()
        """Paths that file-writing tools reported success for."""
        self._pending_texts: list[str] = []
        self._pending_message_id: str | None = None
        self._hidden: set[str] = set()
        self._calls: dict[tuple[str | None, str], tuple[str, Mapping[str, Any]]] = {}

    @property
    def final_text(self) -> str:
        """Text that nothing has followed so far."""
        return "\n\n".join(self._pending_texts)

    def read(self, message: Any) -> Iterator[EngineEvent]:
        """Return the events of one SDK message; most kinds of messages have none."""
        content = getattr(message, "content", None)
        if not isinstance(content, list) or getattr(message, "error", None):
            return
        parent = getattr(message, "parent_tool_use_id", None)
        for block in content:
            match type(block).__name__:
                case "ThinkingBlock":
                    yield from self._release_texts()
                    yield from self._thinking([block.thinking])
                case "TextBlock" if type(message).__name__ == "AssistantMessage" and parent is None:
                    yield from self._text(block.text, getattr(message, "message_id", None))
                case "ToolUseBlock" if block.name == STRUCTURED_OUTPUT and parent is None:
                    self._hidden.add(block.id)
                case "ToolResultBlock" if parent is None and block.tool_use_id in self._hidden:
                    pass
                case "ToolUseBlock":
                    yield from self._release_texts()
                    yield self._tool_call(parent, block)
                case "ToolResultBlock":
                    yield from self._release_texts()
                    yield self._tool_result(parent, block, getattr(message, "tool_use_result", None))

    def _text(self, text: str, message_id: str | None) -> Iterator[EngineEvent]:
        if message_id != self._pending_message_id:
            yield from self._release_texts()
        self._pending_texts.append(text)
        self._pending_message_id = message_id

    def _release_texts(self) -> Iterator[EngineEvent]:
        texts, self._pending_texts = self._pending_texts, []
        yield from self._thinking(texts)

    @staticmethod
    def _thinking(texts: Iterable[str]) -> Iterator[EngineEvent]:
        for text in texts:
            if text.strip():
                yield EngineEvent("thinking", text.strip())

    def _tool_call(self, parent: str | None, block: Any) -> EngineEvent:
        arguments: Mapping[str, Any] = block.input if isinstance(block.input, Mapping) else {}
        tool = "Agent" if block.name in _AGENT_TOOLS else block.name
        self._calls[parent, block.id] = (tool, arguments)
        if tool == "Agent":
            agent, reason = str(arguments.get("subagent_type") or ""), str(arguments.get("description") or "")
            return EngineEvent(
                "agent_spawn",
                first_line(f"{agent}: {reason}"),
                {"agent": agent, "reason": reason, "call_id": block.id},
            )
        if tool == "Skill":
            skill = str(arguments.get("skill") or arguments.get("command") or "").rpartition(":")[2]
            skill_input = _text(arguments.get("args") or "")
            fields = {"skill": skill, "input": skill_input, "call_id": block.id}
            return EngineEvent("skill_invoke", first_line(f"{skill} {skill_input}"), fields)
        shown = next((str(arguments[name]) for name in _DESCRIPTIVE_ARGUMENTS if arguments.get(name)), "")
        fields = {"tool": tool, "arguments": dict(arguments), "call_id": block.id}
        return EngineEvent("tool_call", first_line(f"{tool}: {shown}" if shown else tool), fields)

    def _tool_result(self, parent: str | None, block: Any, structured: Any) -> EngineEvent:
        tool, arguments = self._calls.get((parent, block.tool_use_id), ("", {}))
        status = "error" if block.is_error else "success"
        if status == "success" and (path := arguments.get(_WRITE_TOOLS.get(tool, ""))):
            self.written.add(str(path))
        report = structured.get("content") if tool == "Agent" and isinstance(structured, Mapping) else None
        text = _REPORT_PREFIX.sub("", result_text(report or block.content))
        return EngineEvent(
            "tool_result",
            first_line(text) or status,
            {"tool": tool, "call_id": block.tool_use_id, "status": status, "result": truncate(text)},
        )


def result_text(content: Any) -> str:
    """Return the text of a tool result; other content appears as its type in brackets."""
    if isinstance(content, str):
        return content.removeprefix("<tool_use_error>").removesuffix("</tool_use_error>")
    if not isinstance(content, list):
        return ""
    parts = (part for part in content if isinstance(part, Mapping))
    return "\n".join(str(part["text"]) if "text" in part else f"[{part.get('type')}]" for part in parts)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def truncate(text: str) -> str:
    """Cut ``text`` after 50,000 characters and note how many more there were."""
    if len(text) <= _MAX_RESULT:
        return text
    return f"{text[:_MAX_RESULT]}\n… ({len(text) - _MAX_RESULT} more characters)"


def first_line(text: str) -> str:
    """Return the first line that is not blank, shortened to 160 characters."""
    line = next((part.strip() for part in text.splitlines() if part.strip()), "")
    return line if len(line) <= _MAX_LINE else f"{line[: _MAX_LINE - 1]}…"
