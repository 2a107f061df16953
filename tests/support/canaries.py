"""Marked keys and prompts, and all text in which they might show."""

from __future__ import annotations

import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from claude_code_client import errors
from support.clients.client_kinds import ClientKind

KEY = "sk-proj-CANARY-key"
SECRET = "CANARY-header"
PROMPT = "CANARY-prompt"
MARK = "CANARY"
HEADERS = {"Authorization": f"Basic {SECRET}", "X-Access-Token": SECRET, "Cookie": f"session={SECRET}"}
TURNS = [{"role": "user", "content": PROMPT}]
CONTEXT = {"notes": PROMPT, "deep": [{"er": PROMPT}]}
TESTS = str(Path(__file__).parents[1])


@contextmanager
def recorded_logs() -> Iterator[io.StringIO]:
    """Yield the output of all loggers on DEBUG, through a real handler."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s %(args)s"))
    stack = ("claude_code_client", "httpx", "httpcore", "httpcore.http11", "httpcore.connection", "asyncio", "anyio")
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in {*logging.root.manager.loggerDict, *stack})]
    before = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    try:
        yield written
    finally:
        logging.getLogger().removeHandler(handler)
        for logger, level in before:
            logger.setLevel(level)


def outcome(both: ClientKind, call: Callable[[], Any]) -> Any:
    """Return a call's result or the exception that it raises."""
    try:
        result = both.call(call())
        is_stream = hasattr(result, "__next__") or hasattr(result, "__anext__")
        return list(both.each(result)) if is_stream else result
    except BaseException as error:
        return error


def chain(error: BaseException) -> Iterator[BaseException]:
    """Return the exception with its causes, contexts (suppressed ones too) and groups."""
    found: list[BaseException] = []
    todo = [error]
    while todo:
        current = todo.pop()
        if any(current is other for other in found):
            continue
        found.append(current)
        todo += [other for other in (current.__cause__, current.__context__) if other is not None]
        todo += getattr(current, "exceptions", ())
    return iter(found)


def with_locals(error: BaseException) -> str:
    """Return the traceback as a crash reporter formats it: with the locals of all frames except the tests' own."""
    frames = [(f, n) for f, n in traceback.walk_tb(error.__traceback__) if not f.f_code.co_filename.startswith(TESTS)]
    return "".join(traceback.StackSummary.extract(iter(frames), capture_locals=True).format())


def shown(result: Any) -> str:
    """Return all text of a result or an exception that is printed, logged, pickled or reported."""
    if not isinstance(result, BaseException):
        return repr(result)
    parts = [str(result), repr(result), *map(repr, result.args)]
    for error in chain(result):
        parts += [str(error), repr(error), repr(vars(error)), with_locals(error), *getattr(error, "__notes__", ())]
    if isinstance(result, errors.ClaudeAPIError):
        stored = pickle.dumps(result)
        parts += [repr(stored), json.dumps(vars(pickle.loads(stored)), default=lambda model: model.to_dict())]
    return "\n".join(parts)


def open_client(both: ClientKind, base_url: str, **options: Any) -> Any:
    return both.client(base_url, api_key=KEY, headers=HEADERS, **{"max_retries": 0, **options})
