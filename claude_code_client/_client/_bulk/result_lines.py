"""Lines of a results file: results as JSON and back. No I/O.

Like the output of the Message Batches and the OpenAI batch formats, a line has the item's ``custom_id`` and either a
response or an error, and lines come in the order in which items finish. What a reader has to know of every line stands
at its start, so that a file can be indexed without decoding it.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import attrs

from ... import errors
from ...errors import ClaudeAPIError, ConflictError, InvalidRequestError
from ...models import AgenticTaskResponse, Artifact, CompletionResponse, Usage
from .items import Item
from .results import BatchResult, R

_HEAD: Final = re.compile(
    rb'\{"index": (\d{1,12}), "cost": (\d[\d.e+-]*), "batch_id": "([0-9a-f]{32})", "key": "([!-~]{1,255})", .*\}'
)
# json.dumps() would make an encoder for each line; a response is a tree.
_LINES: Final = json.JSONEncoder(check_circular=False)
_ERROR_FIELDS: Final = ("status_code", "error_type", "param", "request_id", "task_id", "outcome_unknown")


@attrs.frozen
class LineHead:
    """Start of a line."""

    index: int
    cost: float
    batch_id: str


def encode(result: BatchResult[Any], batch_id: str) -> bytes:
    """Return a result as a line, without the item, whose prompt may be private."""
    error = result.error
    line = {
        "index": result.index,
        "cost": result.cost,
        "batch_id": batch_id,
        "key": result.idempotency_key,
        "custom_id": result.custom_id,
        "response": None if result.response is None else result.response.to_dict(),
        "error": None if error is None else _error_fields(error),
    }
    return _LINES.encode(line).encode() + b"\n"


def read_head(line: bytes) -> LineHead | None:
    """Return what stands at the start of a line; None if it is not a whole line of a results file."""
    found = _HEAD.fullmatch(line)
    try:
        return None if found is None else LineHead(int(found[1]), float(found[2]), found[3].decode())
    except ValueError:
        return None


def decode(line: bytes, item: Item) -> BatchResult[Any]:
    """Return the result of an item from its line.

    Raises ValueError if the line is damaged, and KeyError if it belongs to another item.
    """
    record = json.loads(line)
    if record["key"] != item.idempotency_key:
        raise KeyError(item.index)
    response, error = record["response"], record["error"]
    try:
        return BatchResult(
            index=item.index,
            custom_id=item.custom_id,
            item=item.source,
            idempotency_key=item.idempotency_key,
            response=None if response is None else _response(response),
            error=None if error is None else _error(error),
            cost=float(record["cost"]),
            resumed=True,
        )
    except (KeyError, TypeError, AttributeError) as problem:
        raise ValueError("not a result") from problem


def is_final(result: BatchResult[R]) -> bool:
    """Return whether running the item again would bring nothing new, so that its result belongs into the file.

    What the server did not run, or may not have run, is run again by the next call: no connection, too many requests, a
    budget or a deadline that was reached.
    """
    error = result.error
    if error is None:
        return True
    if error.task is not None:
        return error.task.is_terminal
    # An invalid item that was not sent has no key, and is found to be invalid again.
    return isinstance(error, InvalidRequestError | ConflictError | errors.PermissionError) and bool(
        result.idempotency_key
    )


def _error_fields(error: ClaudeAPIError) -> dict[str, Any]:
    fields = {name: getattr(error, name) for name in _ERROR_FIELDS}
    return {"type": type(error).__name__, "message": error.message, **fields}


def _error(fields: dict[str, Any]) -> ClaudeAPIError:
    kind = getattr(errors, fields["type"], None) if fields["type"] in errors.__all__ else None
    known: dict[str, Any] = {name: fields.get(name) for name in _ERROR_FIELDS}
    return (kind or ClaudeAPIError)(fields["message"], **known)


def _response(fields: dict[str, Any]) -> Any:
    fields = dict(fields)
    fields["usage"] = _model(Usage, fields["usage"], omit="total_cost")
    if "artifacts" not in fields:
        return _model(CompletionResponse, fields)
    fields["artifacts"] = [_model(Artifact, each) for each in fields["artifacts"]]
    return _model(AgenticTaskResponse, fields)


def _model(cls: type[Any], fields: dict[str, Any], omit: str = "") -> Any:
    known = {field.name for field in attrs.fields(cls)} - {"extra"}
    extra = {name: value for name, value in fields.items() if name not in known and name != omit}
    return cls(extra=extra, **{name: value for name, value in fields.items() if name in known})
