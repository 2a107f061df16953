"""Arguments are checked before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest
from support.clients.client_kinds import KEY, ClientKind

import claude_code_client.errors as errors
from claude_code_client import ClaudeClient


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({}, "prompt"),
        ({"prompt": "x", "messages": []}, "prompt"),
        ({"messages": []}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "x", "max_tokens": 1.5}, "max_tokens"),
        ({"prompt": "x", "temperature": 2.1}, "temperature"),
        ({"prompt": "x", "temperature": float("nan")}, "temperature"),
        ({"prompt": "x", "top_p": -0.1}, "top_p"),
        ({"prompt": "x", "top_p": True}, "top_p"),
        ({"prompt": "x", "model": ""}, "model"),
        ({"prompt": "x", "stop": "END"}, "stop"),
        ({"prompt": "x", "timeout": 0}, "timeout"),
        ({"prompt": "x", "idempotency_key": ""}, "idempotency_key"),
    ],
)
def test_completion_arguments_are_checked_before_sending(
    both: ClientKind, arguments: dict[str, Any], param: str
) -> None:
    with pytest.raises(
        (errors.InvalidRequestError, errors.ConfigurationError), match=param.partition("[")[0]
    ) as caught:
        both.call(both.client("http://127.0.0.1:9").complete(**arguments))
    assert caught.value.param == param
    assert caught.value.attempts == 0


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        ({"description": ""}, "description"),
        ({"description": " \n"}, "description"),
        ({"description": None}, "description"),
        ({"description": "x", "allow_tools": "Bash"}, "allow_tools"),
        ({"description": "x", "allow_tools": [1]}, "allow_tools"),
        ({"description": "x", "allow_agents": {"a": 1}}, "allow_agents"),
        ({"description": "x", "allow_skills": [""]}, "allow_skills"),
        ({"description": "x", "timeout": -1}, "timeout"),
        ({"description": "x", "max_cost": 0}, "max_cost"),
        ({"description": "x", "max_cost": "1"}, "max_cost"),
        ({"description": "x", "context": [1]}, "context"),
        ({"description": "x", "context": {"a": object()}}, "context"),
        ({"description": "x", "context": {"a": float("inf")}}, "context"),
        ({"description": "x", "working_directory": ""}, "working_directory"),
    ],
)
@pytest.mark.parametrize("method", ["execute_task", "stream_task"])
def test_task_arguments_are_checked_before_sending(
    both: ClientKind, method: str, arguments: dict[str, Any], param: str
) -> None:
    with pytest.raises((errors.InvalidRequestError, errors.ConfigurationError), match=param) as caught:
        both.call(getattr(both.client("http://127.0.0.1:9"), method)(**arguments))
    assert caught.value.param == param


def test_out_of_range_arguments_name_their_range() -> None:
    with ClaudeClient(KEY) as client, pytest.raises(errors.InvalidRequestError) as caught:
        client.complete("x", temperature=3)
    assert str(caught.value) == "temperature must be from 0 to 2, not 3."
