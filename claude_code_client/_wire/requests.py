"""Arguments → generated request bodies; what the contract does not allow is an error before it is sent. No I/O."""

from __future__ import annotations

import inspect
import json
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from claude_code_api.constraints import CONSTRAINTS
from claude_code_api.models.create_completion_request import CreateCompletionRequest
from claude_code_api.models.create_task_request import CreateTaskRequest
from claude_code_api.models.create_task_request_task_context import CreateTaskRequestTaskContext
from claude_code_api.models.message import Message as GeneratedMessage
from claude_code_api.models.role import Role
from claude_code_api.types import UNSET, Unset

from .._config import Config, check_timeout
from ..errors import InvalidRequestError
from ..models import Message
from .event_cursor import EventCursor

_LARGEST: Final = 2**53
"""Beyond it, JSON numbers are not the same for everyone (RFC 8259, 6)."""
_MAX_DIGITS: Final = 18
_KEY: Final = re.compile(r"[!-~]{1,255}")


def completion_request(
    *,
    prompt: str | None,
    messages: Sequence[Message] | None,
    model: str | None,
    max_tokens: int | None,
    temperature: float | None,
    top_p: float | None,
    stop: Sequence[str] | None,
) -> CreateCompletionRequest:
    """Raises InvalidRequestError, naming the parameter."""
    of = _Checker(CreateCompletionRequest)
    return CreateCompletionRequest(
        messages=_messages(prompt, messages),
        model=of.text("model", model),
        max_tokens=of.integer("max_tokens", max_tokens),
        temperature=of.number("temperature", temperature),
        top_p=of.number("top_p", top_p),
        stop=of.texts("stop", stop),
    )


def task_request(
    *,
    description: str,
    allow_tools: Sequence[str] | None,
    allow_agents: Sequence[str] | None,
    allow_skills: Sequence[str] | None,
    timeout: float | None,
    max_cost: float | None,
    context: Mapping[str, Any] | None,
    model: str | None,
    working_directory: str | None,
) -> CreateTaskRequest:
    """Raises InvalidRequestError, naming the parameter."""
    of = _Checker(CreateTaskRequest)
    checked = of.text("description", description)
    if isinstance(checked, Unset):
        raise InvalidRequestError("description must be a str, not None.", param="description")
    return CreateTaskRequest(
        description=checked,
        allow_tools=of.texts("allow_tools", allow_tools),
        allow_agents=of.texts("allow_agents", allow_agents),
        allow_skills=of.texts("allow_skills", allow_skills),
        timeout=of.number("timeout", timeout),
        max_cost=of.number("max_cost", max_cost),
        context=UNSET if context is None else CreateTaskRequestTaskContext.from_dict(_json_object("context", context)),
        model=of.text("model", model),
        working_directory=of.text("working_directory", working_directory),
    )


def check_id(name: str, value: str, meant: str = "a task's id, a str") -> str:
    """``value`` if it can be a segment of a path; else InvalidRequestError."""
    if not isinstance(value, str) or not value.isprintable() or value in ("", ".", ".."):
        raise InvalidRequestError(f"{name} must be {meant}.", param=name)
    return value


def call_key(idempotency_key: str | None) -> str:
    """The key that makes all attempts of a call one call."""
    if idempotency_key is None:
        return str(uuid.uuid4())
    if not isinstance(idempotency_key, str) or not _KEY.fullmatch(idempotency_key):
        raise InvalidRequestError(
            "idempotency_key must be a str of 1 to 255 ASCII characters without spaces.", param="idempotency_key"
        )
    return idempotency_key


def call_timeout(timeout: float | None, config: Config) -> float:
    return config.timeout if timeout is None else check_timeout(timeout)


def check_waiting(timeout: float | None, stall_timeout: float | None) -> None:
    """Raises ConfigurationError for what is no positive number of seconds."""
    for name, seconds in (("timeout", timeout), ("stall_timeout", stall_timeout)):
        if seconds is not None:
            check_timeout(seconds, name)


def check_callback(name: str, callback: object, *, may_be_async: bool = False) -> None:
    """Raises InvalidRequestError for what cannot be called, or not from where it would be."""
    if callback is None:
        return
    if not callable(callback):
        raise _wrong_type(name, "a function", callback)
    if not may_be_async and inspect.iscoroutinefunction(callback):
        raise InvalidRequestError(
            f"{name} must be a plain function; coroutine functions are for AsyncClaudeClient.", param=name
        )


def cursor_after(event_id: str | int | None) -> EventCursor:
    """The cursor after an event that the caller has. Raises InvalidRequestError."""
    number = 0 if event_id is None else event_id
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) <= _MAX_DIGITS:
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise InvalidRequestError(
            "after must be the id of an event, as last_event_id has it, or None for all of them.", param="after"
        )
    return EventCursor(number)


class _Checker:
    """Checks arguments against the contract's constraints on one request body."""

    def __init__(self, body: type) -> None:
        self._rules = CONSTRAINTS.get(body.__name__, {})

    def text(self, name: str, value: str | None) -> str | Unset:
        if value is None:
            return UNSET
        if not isinstance(value, str):
            raise _wrong_type(name, "a str", value)
        rules = self._rules.get(name, {})
        # Texts may be prompts, so that the message does not repeat them.
        if len(value) < rules.get("minLength", 0) or ("pattern" in rules and not re.search(rules["pattern"], value)):
            raise InvalidRequestError(f"{name} must not be empty.", param=name)
        return _encodable(name, value)

    def integer(self, name: str, value: int | None) -> int | Unset:
        if value is None:
            return UNSET
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(name, "an int", value)
        self._in_range(name, value)
        return value

    def number(self, name: str, value: float | None) -> float | Unset:
        if value is None:
            return UNSET
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(name, "a number", value)
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidRequestError(f"{name} must be a finite number, not {value!r}.", param=name)
        self._in_range(name, value)
        return value

    def texts(self, name: str, value: Sequence[str] | None) -> list[str] | Unset:
        if value is None:
            return UNSET
        if isinstance(value, str | bytes):
            raise InvalidRequestError(
                f"{name} must be a list of str, not a bare {type(value).__name__}: put it in brackets.", param=name
            )
        if not isinstance(value, Sequence | set | frozenset):
            raise _wrong_type(name, "a list of str", value)
        items = list(value)
        for index, item in enumerate(items):
            if not isinstance(item, str):
                raise _wrong_type(f"{name}[{index}]", "a str", item)
            if not item:
                raise InvalidRequestError(f"{name}[{index}] must not be empty.", param=name)
            _encodable(name, item)
        return sorted(items) if isinstance(value, set | frozenset) else items

    def _in_range(self, name: str, value: float) -> None:
        rules = self._rules.get(name, {})
        low, high, above = rules.get("minimum"), rules.get("maximum"), rules.get("exclusiveMinimum")
        if (
            (low is not None and value < low)
            or (high is not None and value > high)
            or (above is not None and value <= above)
        ):
            raise InvalidRequestError(f"{name} must be {_range(low, high, above)}, not {value!r}.", param=name)
        if value > _LARGEST:
            raise InvalidRequestError(f"{name} must be at most {_LARGEST}.", param=name)


def _range(low: float | None, high: float | None, above: float | None) -> str:
    if above is not None:
        return f"more than {above:g}"
    if high is None:
        return f"{low:g} or more"
    return f"from {low:g} to {high:g}"


def _messages(prompt: str | None, messages: Sequence[Message] | None) -> list[GeneratedMessage]:
    if (prompt is None) == (messages is None):
        raise InvalidRequestError("Give either prompt or messages.", param="prompt")
    if messages is None:
        if not isinstance(prompt, str):
            raise _wrong_type("prompt", "a str", prompt)
        if not prompt.strip():
            raise InvalidRequestError("prompt must not be empty.", param="prompt")
        return [GeneratedMessage(role=Role.USER, content=_encodable("prompt", prompt))]
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise _wrong_type("messages", "a list of dicts", messages)
    if not messages:
        raise InvalidRequestError("messages must have at least one message.", param="messages")
    return [_message(index, message) for index, message in enumerate(messages)]


def _message(index: int, message: Message) -> GeneratedMessage:
    where = f"messages[{index}]"
    if not isinstance(message, Mapping):
        raise _wrong_type(where, "a dict with role and content", message)
    role, content = message.get("role"), message.get("content")
    if role not in tuple(Role):
        raise InvalidRequestError(f"{where}: role must be one of {', '.join(Role)}.", param=f"{where}.role")
    if not isinstance(content, str):
        raise _wrong_type(f"{where}.content", "a str", content)
    return GeneratedMessage(role=Role(role), content=_encodable(f"{where}.content", content))


def _json_object(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong_type(name, "a dict", value)
    try:
        decoded: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        # That of UnicodeEncodeError is UTF-8's, and of no use here.
        problem = "a str is no valid Unicode" if isinstance(error, UnicodeError) else str(error)
    else:
        return decoded
    raise InvalidRequestError(f"{name} must hold JSON types only: {problem}.", param=name)


def _encodable(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        pass
    else:
        return text
    raise InvalidRequestError(
        f"{name} must be valid Unicode; it has half of a surrogate pair.", param=name.partition("[")[0]
    )


def _wrong_type(name: str, wanted: str, value: object) -> InvalidRequestError:
    return InvalidRequestError(f"{name} must be {wanted}, not {type(value).__name__}.", param=name.partition("[")[0])
