"""Events, result and status of a task, from the messages of Claude Code."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from claude_code_server.domain.engine_protocol import TaskSpec
from claude_code_server.engine.event_reader import EngineEvent, EventReader, first_line
from claude_code_server.engine.outcome import RunEnd, parse_result, status_and_error, summary
from claude_code_server.upstream.protocol import UpstreamError

SPEC = TaskSpec("task_1", "Count.", Path("/nowhere"), "claude-haiku-5-5", max_cost=0.5, timeout=7)


@dataclass
class TextBlock:
    text: str


@dataclass
class ThinkingBlock:
    thinking: str


@dataclass
class ToolUseBlock:
    id: str
    name: str
    input: dict[str, Any]


@dataclass
class ToolResultBlock:
    tool_use_id: str
    content: Any
    is_error: bool | None = None


@dataclass
class AssistantMessage:
    content: list[Any]
    parent_tool_use_id: str | None = None
    message_id: str | None = "msg_1"
    error: str | None = None


@dataclass
class UserMessage:
    content: Any
    parent_tool_use_id: str | None = None
    tool_use_result: Any = None


@dataclass
class ResultMessage:
    subtype: str = "success"
    is_error: bool = False
    result: str | None = "Done."
    terminal_reason: str | None = "completed"
    api_error_status: int | None = None
    errors: list[str] = field(default_factory=list)


def read(*messages: Any) -> tuple[list[EngineEvent], EventReader]:
    reader = EventReader()
    return [event for message in messages for event in reader.read(message)], reader


def test_text_becomes_a_thought_once_something_follows_it() -> None:
    got, reader = read(
        AssistantMessage([ThinkingBlock("Hm."), ThinkingBlock(" ")]),
        AssistantMessage([TextBlock("Let me look.")]),
        AssistantMessage([ToolUseBlock("t1", "Bash", {"command": "ls\nrm x"})]),
        UserMessage([ToolResultBlock("t1", "a\nb")]),
        AssistantMessage([TextBlock("The answer.")], message_id="msg_2"),
    )
    assert [(event.type, event.content) for event in got] == [
        ("thinking", "Hm."),
        ("thinking", "Let me look."),
        ("tool_call", "Bash: ls"),
        ("tool_result", "a"),
    ]
    assert got[2].fields == {"tool": "Bash", "arguments": {"command": "ls\nrm x"}, "call_id": "t1"}
    assert got[3].fields == {"tool": "Bash", "call_id": "t1", "status": "success", "result": "a\nb"}
    assert reader.final_text == "The answer."


def test_text_of_the_next_message_makes_the_previous_text_a_thought() -> None:
    got, reader = read(
        AssistantMessage([TextBlock("Part one")]),
        AssistantMessage([TextBlock("Part two")]),
        AssistantMessage([TextBlock("More")], message_id="msg_2"),
    )
    assert [event.content for event in got] == ["Part one", "Part two"]
    assert reader.final_text == "More"


def test_agents_and_skills_have_their_own_event_types() -> None:
    got, _ = read(
        AssistantMessage([ToolUseBlock("t1", "Task", {"subagent_type": "code-analyzer", "description": "look"})]),
        UserMessage([TextBlock("to the agent")], parent_tool_use_id="t1"),
        AssistantMessage([TextBlock("in the agent")], parent_tool_use_id="t1"),
        AssistantMessage([ToolUseBlock("t1", "Read", {"file_path": "x"})], parent_tool_use_id="t1"),
        UserMessage([ToolResultBlock("t1", [{"type": "text", "text": "no"}], True)], parent_tool_use_id="t1"),
        UserMessage(
            [ToolResultBlock("t1", [{"type": "text", "text": "[Subagent hand-back] … found"}])],
            tool_use_result={"content": [{"type": "text", "text": "found"}]},
        ),
        AssistantMessage([ToolUseBlock("t2", "Skill", {"skill": "p:semantic-text-matcher", "args": "a b"})]),
    )
    assert [(event.type, dict(event.fields)) for event in got] == [
        ("agent_spawn", {"agent": "code-analyzer", "reason": "look", "call_id": "t1"}),
        ("tool_call", {"tool": "Read", "arguments": {"file_path": "x"}, "call_id": "t1"}),
        ("tool_result", {"tool": "Read", "call_id": "t1", "status": "error", "result": "no"}),
        ("tool_result", {"tool": "Agent", "call_id": "t1", "status": "success", "result": "found"}),
        ("skill_invoke", {"skill": "semantic-text-matcher", "input": "a b", "call_id": "t2"}),
    ]


def test_messages_without_content_make_no_event() -> None:
    failed = AssistantMessage([TextBlock("API Error: 529")], error="overloaded")
    got, reader = read(UserMessage("text"), UserMessage([TextBlock("skill body")]), ResultMessage(), failed)
    assert (got, reader.final_text) == ([], "")


def test_only_successful_writes_count_as_written() -> None:
    writes = [("Write", "a.md", None), ("Edit", "b.md", True), ("Read", "c.md", None), ("Write", "d.md", False)]
    messages: list[Any] = []
    for name, path, failed in writes:
        messages.append(AssistantMessage([ToolUseBlock(path, name, {"file_path": path})]))
        messages.append(UserMessage([ToolResultBlock(path, "ok", failed)]))
    assert read(*messages)[1].written == {"a.md", "d.md"}


def test_results_and_lines_are_truncated() -> None:
    got, _ = read(UserMessage([ToolResultBlock("t1", "x" * 60_000), ToolResultBlock("t2", [{"type": "image"}])]))
    assert len(got[0].content) == 160
    assert got[0].fields["result"].endswith("(10000 more characters)")
    assert got[1].content == "[image]"
    assert first_line(" \n\n two \n") == "two"
    assert first_line("") == ""


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        (RunEnd(ResultMessage()), "completed", None),
        (RunEnd(ResultMessage(terminal_reason=None)), "completed", None),
        (RunEnd(ResultMessage(), cancelled="timeout"), "timeout", ("timeout_error", "7 s")),
        (RunEnd(cancelled="cancelled"), "cancelled", ("cancelled_error", "cancelled")),
        (RunEnd(cancelled="cost_exceeded"), "cost_exceeded", ("cost_exceeded_error", "$0.5")),
        (RunEnd(cancelled="failed"), "failed", ("server_error", "cancelled the task")),
        (RunEnd(failure="it broke"), "failed", ("server_error", "it broke")),
        (RunEnd(), "failed", ("server_error", "without a result")),
        (
            RunEnd(ResultMessage(is_error=True), upstream_error=UpstreamError(529, "overloaded_error", "busy")),
            "failed",
            ("overloaded_error", "529: busy"),
        ),
        (
            RunEnd(ResultMessage(is_error=True), upstream_error=UpstreamError(402, "billing_error", "pay")),
            "failed",
            ("server_error", "402: pay"),
        ),
        (
            RunEnd(ResultMessage(is_error=True, result="API Error", api_error_status=401)),
            "failed",
            ("authentication_error", "API Error"),
        ),
        (
            RunEnd(ResultMessage(subtype="error_during_execution", result=None, errors=["a", "b"])),
            "failed",
            ("server_error", "a; b"),
        ),
        (
            RunEnd(ResultMessage(terminal_reason="aborted_tools", result="")),
            "failed",
            ("server_error", "success"),
        ),
    ],
)
def test_status_and_error(end: RunEnd, status: str, error: tuple[str, str] | None) -> None:
    got, failure = status_and_error(end, SPEC)
    assert got == status
    if error is None:
        assert failure is None
    else:
        assert failure is not None
        assert failure[0] == error[0]
        assert error[1] in failure[1]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("Plain.", {}),
        ('Two bugs.\n```json\n{"bugs": [1, 2], "summary": "no"}\n```\n', {"bugs": [1, 2]}),
        ('```json\n{"first": 1}\n```\nand\n```json\n{"last": 1}\n```', {"last": 1}),
        ('```json\n{"early": 1}\n```\nMore text.', {}),
        ("```json\n[1]\n```", {}),
        ("```json\n{broken\n```", {}),
        ('```\n{"a": 1}\n```', {}),
    ],
)
def test_a_json_object_at_the_end_becomes_part_of_the_result(text: str, data: dict[str, Any]) -> None:
    assert parse_result(text) == {**data, "summary": text}


def test_the_summary_is_the_final_text_or_the_last_partial_text() -> None:
    assert summary(RunEnd(ResultMessage(result=" Done. "), "held")) == "Done."
    assert summary(RunEnd(ResultMessage(result=""), "held")) == "held"
    assert summary(RunEnd(ResultMessage(is_error=True, result="API Error"), "held")) == "held"
    assert summary(RunEnd()) == ""
