"""Exceptions: their hierarchy, the status table, copying and pickling."""

from __future__ import annotations

import builtins
import copy
import json
import pickle
from typing import Any

import pytest

import claude_code_client
from claude_code_client import errors
from claude_code_client._wire.error_bodies import from_response
from claude_code_client.errors import ClaudeAPIError

ALL = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_exceptions_can_be_pickled_and_copied(cls: type[ClaudeAPIError], duplicate: Any) -> None:
    error = cls("Message.", status_code=418, error_type="teapot", request_id="req_1", task_id="task_1", body={"a": [1]})
    other = duplicate(error)
    assert type(other) is cls
    assert vars(other) == vars(error)
    assert str(other) == str(error) == "Message. (status 418, type teapot, task task_1, request req_1)"


def test_builtin_exception_handlers_catch_ours() -> None:
    assert issubclass(errors.TimeoutError, builtins.TimeoutError)
    assert issubclass(errors.PermissionError, builtins.PermissionError)
    assert issubclass(errors.APIConnectionError, builtins.ConnectionError)
    assert all(issubclass(cls, ClaudeAPIError) for cls in ALL)
    assert set(errors.__all__) <= set(claude_code_client.__all__)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, "", errors.AuthenticationError),
        (403, "<html>Forbidden</html>", errors.PermissionError),
        (404, '{"detail": "Task not found"}', errors.NotFoundError),
        (408, "", errors.TimeoutError),
        (409, "", errors.ConflictError),
        (413, "", errors.InvalidRequestError),
        (418, "", errors.InvalidRequestError),
        (422, '{"detail": [{"loc": ["body"], "msg": "field required"}]}', errors.InvalidRequestError),
        (429, "", errors.RateLimitError),
        (
            429,
            '{"error": {"type": "cost_exceeded_error", "message": "No.", "estimated_cost": 2}}',
            errors.CostExceededError,
        ),
        (402, "", errors.CostExceededError),
        (500, '{"error": {"type": "rate_limit_error"', errors.ServerError),
        (501, "", errors.NotSupportedError),
        (503, "[]", errors.OverloadedError),
        (529, "null", errors.OverloadedError),
        (599, '{"error": {"type": "new_error", "message": "New."}}', errors.ServerError),
        (400, '{"error": {"type": "overloaded_error", "message": "Busy."}}', errors.OverloadedError),
        (302, "", errors.UnexpectedResponseError),
    ],
)
def test_error_type_takes_precedence_over_status(status: int, body: str, expected: type[ClaudeAPIError]) -> None:
    error = from_response(status, body.encode(), request_id="req_1", retry_after=7.0)
    assert type(error) is expected
    assert error.status_code == status
    assert error.request_id == "req_1"
    assert error.retry_after == 7.0
    assert len(error.message) > 20


def test_server_message_and_numbers_are_kept() -> None:
    body = {"error": {"type": "cost_exceeded_error", "message": "Too dear.", "param": "max_cost", "estimated_cost": 2}}
    error = from_response(402, json.dumps(body).encode())
    assert error.message.startswith("Too dear. Raise max_cost")
    assert (error.param, error.estimated_cost, error.error_type) == ("max_cost", 2.0, "cost_exceeded_error")
    assert error.body == body


def test_large_body_is_parsed_and_truncated() -> None:
    body = json.dumps({"error": {"type": "permission_error", "message": "Not Bash."}, "more": "x" * 100_000})
    error = from_response(403, body.encode())
    assert error.message.startswith("Not Bash.")
    assert len(error.body) == 2000
