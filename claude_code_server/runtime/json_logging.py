"""Log as JSON, one object a line: IDs and numbers, never the content of a request, a file or an exception."""

from __future__ import annotations

import contextvars
import json
import logging
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from .error_logging import describe_exception, log_exception

_OURS: Final = "claude_code_server"
_log = logging.getLogger(__name__)
_NO_IDS: Final[Mapping[str, str]] = {}
_ids: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("ids")
_FIELDS: Final = "fields"
"""Attribute of a log record with its further fields."""


def set_log_ids(**ids: str) -> None:
    """Set the IDs of all further log lines of this task, and of those that it starts."""
    _ids.set(ids)


def add_log_ids(**ids: str) -> None:
    """Add IDs to those of the request or task that is being worked on."""
    _ids.get({}).update(ids)


def log_id(name: str) -> str | None:
    """Return an ID of the request or task that is being worked on."""
    return _ids.get(_NO_IDS).get(name)


def is_logged(logger: logging.Logger) -> bool:
    """Return whether ``log_event`` writes anything, where its fields take time to make."""
    return logger.isEnabledFor(logging.INFO)


def log_event(logger: logging.Logger, message: str, **fields: Any) -> None:
    """Log that something happened. Nothing is written unless the log is JSON."""
    if is_logged(logger):
        logger.info(message, extra={_FIELDS: fields})


class JsonFormatter(logging.Formatter):
    """Formatter of one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **_ids.get(_NO_IDS),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = describe_exception(record.exc_info[1])
        return json.dumps(line, default=str)


def log_as_json(stream: TextIO) -> None:
    """Write all log lines, and uncaught exceptions, to ``stream`` as JSON."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(_OURS).setLevel(logging.INFO)
    logging.captureWarnings(True)
    sys.excepthook = lambda _, error, __: log_exception(_log, "the server", error)
    sys.unraisablehook = lambda hook: log_exception(_log, "a finalizer", hook.exc_value or Exception())
    threading.excepthook = lambda hook: log_exception(_log, "a thread", hook.exc_value or Exception())


def _message(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] == _OURS:
        return record.getMessage()
    # Messages of other libraries may quote what they worked on, such as the repr of an exception or an argument.
    return f"message of another library, at {record.module}, line {record.lineno}"
