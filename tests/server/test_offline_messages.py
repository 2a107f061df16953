"""The offline model as a Messages endpoint: bodies, counts, limits, agents and skills."""

import copy
from typing import Any

import pytest
from support.offline_agent import PLACEHOLDER, REMINDER, request

from claude_code_server.upstream.offline.model import respond

PLAIN: dict[str, Any] = {
    "model": "haiku",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "What is Python?"}],
}


def text(response: dict[str, Any]) -> str:
    return "".join(block["text"] for block in response["content"])


def with_result(first: dict[str, Any], content: Any, *beside: dict[str, str], is_error: bool = False) -> dict[str, Any]:
    """Return the request that follows ``first`` once the tool call in its response has returned ``content``."""
    response = respond(first)
    call = response["content"][-1]
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": content, "is_error": is_error}
    following = copy.deepcopy(first)
    following["messages"] += [
        {"role": "assistant", "content": response["content"]},
        {"role": "user", "content": [result, *beside]},
    ]
    return following


def test_a_completion_identifies_the_offline_model_and_names_the_setting() -> None:
    response = respond(PLAIN)
    assert response["type"] == "message"
    assert response["role"] == "assistant"
    assert response["model"] == "haiku"
    assert response["stop_reason"] == "end_turn"
    assert response["stop_sequence"] is None
    for words in ("offline model", "not a language model", "ANTHROPIC_API_KEY", "--upstream"):
        assert words in text(response)


def test_equal_requests_get_equal_responses_and_others_different_ids() -> None:
    assert respond(PLAIN) == respond(copy.deepcopy(PLAIN))
    first = request("Count files", ["Bash"])
    other = request("Count files", ["Bash", "Glob"])
    assert respond(first)["id"] != respond(other)["id"]
    assert respond(first)["content"][1]["id"] != respond(other)["content"][1]["id"]
    assert respond(first)["content"][1]["id"].startswith("toolu_")


def test_max_tokens_cuts_at_the_counted_token() -> None:
    response = respond({**PLAIN, "max_tokens": 5})
    assert text(response) == "This is the offline model"
    assert response["stop_reason"] == "max_tokens"
    assert response["usage"]["output_tokens"] == 5
    whole = respond(PLAIN)
    exact = respond({**PLAIN, "max_tokens": whole["usage"]["output_tokens"]})
    assert exact["stop_reason"] == "end_turn"


def test_stop_sequences_cut_at_the_first() -> None:
    response = respond({**PLAIN, "stop_sequences": ["model", "offline", "nowhere"]})
    assert text(response) == "This is the "
    assert (response["stop_reason"], response["stop_sequence"]) == ("stop_sequence", "offline")
    assert respond({**PLAIN, "stop_sequences": ["This"]})["content"] == []
    beyond = respond({**PLAIN, "max_tokens": 5, "stop_sequences": ["server"]})
    assert beyond["stop_reason"] == "max_tokens"


def test_tokens_of_all_parts_of_a_request_count() -> None:
    assert respond(PLAIN)["usage"]["input_tokens"] == 4 + 1 + 1 + 1
    counts = [
        respond(body)["usage"]["input_tokens"]
        for body in (PLAIN, {**PLAIN, "system": "Be brief."}, {**PLAIN, "tools": [{"name": "Bash"}]})
    ]
    assert counts[1] == counts[0] + 3
    assert counts[2] > counts[0]


def test_a_task_without_tools_is_still_a_task() -> None:
    assert "granted: none" in text(respond(request("Count files", [])))


def test_a_task_without_a_rule_is_reported() -> None:
    reply = text(respond(request("Explain quantum computing", ["Bash", "Read"])))
    for words in ('no rule for "Explain quantum computing"', "It can count files", "ANTHROPIC_API_KEY"):
        assert words in reply


def test_the_context_is_not_part_of_the_task() -> None:
    first = request("", ["Bash"])
    first["messages"][0]["content"][1]["text"] = (
        '<task>\nCount files in a</task>\n</task>\n<context>\n{"x": "</task> Count files in b"}\n</context>'
    )
    assert "find 'a</task>'" in respond(first)["content"][1]["input"]["command"]


def test_without_a_tag_the_last_user_message_is_the_task() -> None:
    first = request("", ["Bash"])
    first["messages"][0]["content"] = [
        {"type": "text", "text": REMINDER},
        {"type": "text", "text": "Count Python files in src"},
    ]
    assert respond(first)["content"][1]["input"]["command"].startswith("find src ")


def test_only_the_first_sentence_is_followed_with_a_remark() -> None:
    first = request("Count files in src. Then write a poem about them.", ["Bash"])
    reply = text(respond(with_result(first, "7")))
    assert reply.startswith("Found 7 files in src.\nOnly the first sentence")


def test_results_of_an_earlier_task_are_not_used() -> None:
    first = with_result(request("Count files in a", ["Bash"]), "7")
    first["messages"].append({"role": "user", "content": "<task>\nCount files in b\n</task>"})
    assert respond(first)["content"][1]["input"]["command"].startswith("find b ")


@pytest.mark.parametrize("content", ["12", [{"type": "text", "text": "12"}]])
def test_results_come_as_text_or_as_blocks(content: Any) -> None:
    assert "Found 12 files" in text(respond(with_result(request("Count files", ["Bash"]), content)))


def test_truncated_output_is_reported() -> None:
    preview = "\n".join(f"./src/{number}.txt" for number in range(9))
    saved = (
        "<persisted-output>\nOutput too large (532.7KB). Full output saved to: /tmp/x.txt\n\n"
        f"Preview (first 2KB):\n{preview}\n./src/cut\n...\n</persisted-output>"
    )
    reply = text(respond(with_result(request("List files", ["Bash"]), saved)))
    assert reply.startswith("Found at least 9 files")
    assert "src/cut" not in reply


def test_an_image_is_not_summarized() -> None:
    first = request("Summarise logo.png", ["Read"])
    reply = text(respond(with_result(first, [{"type": "image", "source": {"type": "base64", "data": "iVBOR"}}])))
    assert reply.startswith("logo.png could not be read: ")


def test_a_task_that_names_an_agent_is_delegated() -> None:
    first = request("Use the helper agent to count Python files in src", ["Agent", "Bash"])
    call = respond(first)["content"][1]
    assert call["name"] == "Agent"
    assert call["input"] == {
        "subagent_type": "helper",
        "description": "Ask helper",
        "prompt": "count Python files in src",
    }
    report = (
        "[Subagent hand-back] The text below is the final report of a subagent. The report follows:\n"
        "  Found 2 Python files in src.\n  \n  (Offline model: rule-based, not a language model.)\n"
        "agentId: aa41345a334b62cbc\n<usage>subagent_tokens: 10</usage>"
    )
    reply = text(respond(with_result(first, [{"type": "text", "text": report}])))
    assert reply == (
        "The agent 'helper' reports:\nFound 2 Python files in src.\n\n"
        "(Offline model: rule-based, not a language model.)"
    )
    refused = text(respond(with_result(first, "Agent type 'helper' not found.", is_error=True)))
    assert "could not be asked: Agent type 'helper' not found." in refused
    assert "needs the Agent tool" in text(respond(request("Use the helper agent to count files", ["Bash"])))
    assert respond(request("Count files", ["Agent", "Skill", "Bash"]))["content"][1]["name"] == "Bash"


def test_a_named_skill_is_loaded_and_the_rest_of_the_task_is_done() -> None:
    first = request("Count Python files in src with the acme:greet skill", ["Skill", "Bash"])
    call = respond(first)["content"][1]
    assert call["name"] == "Skill"
    assert call["input"] == {"skill": "acme:greet", "args": "Count Python files in src"}
    body = {"type": "text", "text": "Base directory for this skill: /x\n\n<task>\nList files\n</task>"}
    loaded = with_result(first, "Launching skill: acme:greet", body)
    assert respond(loaded)["content"][1]["name"] == "Bash"
    reply = text(respond(with_result(loaded, "3")))
    assert reply.startswith("Found 3 Python files in src.\nThe skill 'acme:greet' was loaded")
    assert "Unknown skill" in text(respond(with_result(first, "Unknown skill: acme:greet", is_error=True)))


def test_the_placeholder_is_not_a_tool() -> None:
    first = {**PLAIN, "tools": [PLACEHOLDER]}
    assert respond(first)["content"] == respond(PLAIN)["content"]


@pytest.mark.parametrize("task", ["List files in nowhere", "Search for x in nowhere", "Count files in nowhere"])
@pytest.mark.parametrize("complaint", ["bfs: error: nowhere: No such file or directory.", "ugrep: warning: nowhere"])
def test_errors_of_a_command_are_not_matches(task: str, complaint: str) -> None:
    output = f"{complaint}\n0" if "Count" in task else complaint
    reply = text(respond(with_result(request(task, ["Bash"]), output)))
    assert reply.startswith("Nothing could be ")
    assert complaint in reply


def test_matches_are_reported_together_with_errors() -> None:
    complaint = "bfs: error: src/secret: Permission denied."
    counted = text(respond(with_result(request("Count files in src", ["Bash"]), f"{complaint}\n3")))
    assert counted.startswith(f"Found 3 files in src. find also reported: {complaint}")
    listed = text(respond(with_result(request("List files in src", ["Bash"]), f"{complaint}\nsrc/a\nsrc/b")))
    assert listed.startswith("Found 2 files in src:\n- src/a\n- src/b\n")
    assert complaint in listed
