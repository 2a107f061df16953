"""Lines of the command ``batch``: requests in, results out, as JSON. No I/O but reading the input file.

The lines have what Anthropic's Message Batches and OpenAI's batches have in common: a ``custom_id`` of the caller's,
the parameters of one request in an object of their own, and results in the order in which requests finish.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from .._client._bulk.results import BatchResult
from ..errors import ClaudeAPIError, TimeoutError

_ENVELOPES: Final = ("params", "body")
"""Names of the object with the parameters: that of Message Batches, and that of OpenAI's batches."""
_SYNONYMS: Final = {"stop_sequences": "stop", "max_completion_tokens": "max_tokens"}
_IGNORED: Final = ("method", "url")


class RequestLine(dict[str, Any]):
    """A request, as an item of a batch, with its line number from 1."""

    line = 0


class BadLine:
    """A line that is no request. As an item of a batch it fails, and keeps the positions of the others."""

    def __init__(self, line: int, problem: str, custom_id: str | None = None) -> None:
        self.line = line
        self.problem = problem
        self.custom_id = custom_id


class RequestFile:
    """Input file, read anew by each loop over it."""

    def __init__(self, path: Path, text_parameter: str, limit: int | None = None) -> None:
        """Create a reader of at most ``limit`` lines; ``text_parameter`` names what a line of text stands for."""
        self._path = path
        self._text_parameter = text_parameter
        self._limit = limit

    def __len__(self) -> int:
        return sum(1 for _ in self._lines())

    def __iter__(self) -> Iterator[RequestLine | BadLine]:
        # Digests: IDs may be long, and there may be millions.
        seen: set[bytes] = set()
        for number, line in self._lines():
            request = parse_line(number, line, self._text_parameter)
            if isinstance(request, RequestLine) and "custom_id" in request:
                digest = hashlib.blake2b(request["custom_id"].encode("utf-8", "surrogatepass"), digest_size=8)
                if digest.digest() in seen:
                    request = BadLine(number, "its custom_id is that of an earlier line", request["custom_id"])
                seen.add(digest.digest())
            yield request

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that are not blank, with their numbers."""
        with self._path.open("rb") as lines:
            numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
            yield from islice(numbered, self._limit)


class ResultLines:
    """Result lines of one batch, which say what they are the results of.

    Args:
        method: ``map_completions`` or ``map_tasks``.
        shared: Parameters of all requests.
    """

    def __init__(self, method: str, shared: Mapping[str, Any]) -> None:
        self._batch = json.dumps([method, shared], sort_keys=True)

    def line(self, result: BatchResult[Any]) -> str:
        """Return the line of a result."""
        fields = result_line(result)
        if isinstance(item := result.item, RequestLine):
            fields["request_digest"] = self._digest(item)
        return json.dumps(fields, ensure_ascii=False) + "\n"

    def problem(self, requests: RequestFile, results: Path) -> str:
        """Return what is wrong with results that are said to be those of all requests; empty if nothing is."""
        missing = {self._digest(item) if isinstance(item, RequestLine) else "": item.line for item in requests}
        with results.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    fields = json.loads(line)
                    request, kind = str(fields["request_digest"]), fields["result"]["type"]
                except (ValueError, LookupError, TypeError):
                    return f"line {number} of {results} is no result"
                if missing.pop(request, None) is None:
                    return f"line {number} of {results} is the result of another request, or of other options"
                if kind != "succeeded":
                    return f"line {number} of {results} is no success, and the state to go on from is gone"
        return f"{results} has no result of line {min(missing.values())}" if missing else ""

    def _digest(self, item: RequestLine) -> str:
        text = f"{item.line}\0{self._batch}\0{json.dumps(item, sort_keys=True)}"
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def parse_line(number: int, line: bytes, text_parameter: str) -> RequestLine | BadLine:
    """Return the request in a line; a string is a prompt, or the description of a task."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return BadLine(number, f"it is not JSON ({error})" if isinstance(error, json.JSONDecodeError) else "not JSON")
    if isinstance(value, str):
        value = {text_parameter: value}
    if not isinstance(value, dict):
        return BadLine(number, "it is neither an object nor a string")
    custom_id = value.pop("custom_id", None)
    if custom_id is not None and not isinstance(custom_id, str):
        return BadLine(number, "its custom_id is not a string")
    for name in _IGNORED:
        value.pop(name, None)
    envelopes = [name for name in _ENVELOPES if name in value]
    if envelopes:
        parameters = value.pop(envelopes[0])
        if value or not isinstance(parameters, dict):
            return BadLine(number, f"{envelopes[0]} must be an object, with nothing but custom_id beside it", custom_id)
        value = parameters
    request = RequestLine({_SYNONYMS.get(str(name), str(name)): each for name, each in value.items()})
    if "messages" in request:
        request["messages"] = _messages(request)
    request.line = number
    if custom_id is not None:
        request["custom_id"] = custom_id
    return request


def _messages(request: dict[str, Any]) -> Any:
    """Return the messages with text in place of text blocks, and the system prompt as the first of them."""
    messages = request["messages"]
    if not isinstance(messages, list):
        return messages
    if isinstance(system := request.get("system"), str | list):
        messages = [{"role": "system", "content": request.pop("system")}, *messages] if system else messages
    return [{**each, "content": _text(each.get("content"))} if isinstance(each, dict) else each for each in messages]


def _text(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    texts: list[str] = []
    for block in content:
        if not isinstance(block, dict) or block.get("type") != "text" or not isinstance(block.get("text"), str):
            return content
        texts.append(block["text"])
    return "".join(texts)


def result_line(result: BatchResult[Any]) -> dict[str, Any]:
    """Return a result as a line: ``result.type`` is ``succeeded``, ``errored``, ``canceled`` or ``expired``."""
    item: Any = result.item
    custom_id = item.custom_id if isinstance(item, BadLine) else item.get("custom_id")
    return {
        "custom_id": str(item.line) if custom_id is None else custom_id,
        "line": item.line,
        "result": _outcome(result),
        "cost": result.cost,
    }


def problem_of(result: BatchResult[Any]) -> str:
    """Return why a result is not a success, in one sentence."""
    error = _outcome(result)["error"]
    return str(error["message"])


def _outcome(result: BatchResult[Any]) -> dict[str, Any]:
    response, error = result.response, result.error
    if isinstance(result.item, BadLine):
        return _errored({"type": "invalid_request_error", "message": f"The line is no request: {result.item.problem}."})
    if error is not None:
        task = None if error.task is None else error.task.to_dict()
        kind = "expired" if isinstance(error, TimeoutError) else "errored"
        return _errored(_error(error), kind, task)
    body = {} if response is None else response.to_dict()
    if result.ok:
        return {"type": "succeeded", "response": body}
    status = body.get("status")
    details = body.get("error") or {"type": "api_error", "message": f"The task ended with status {status}."}
    return _errored(details, "canceled" if status == "cancelled" else "errored", body)


def _errored(error: Mapping[str, Any], kind: str = "errored", response: dict[str, Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"type": kind, "error": error}
    return found if response is None else {**found, "response": response}


def _error(error: ClaudeAPIError) -> dict[str, Any]:
    fields = {
        "type": error.error_type or type(error).__name__,
        "message": error.message,
        "status_code": error.status_code,
        "param": error.param,
        "request_id": error.request_id,
    }
    return {name: value for name, value in fields.items() if value is not None}
