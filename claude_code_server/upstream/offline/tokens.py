"""Token counts of the offline model: each run of word characters and each other visible character is a token."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

_PIECE = re.compile(r"\w+|[^\w\s]")


def count(text: str) -> int:
    """Count the tokens in ``text``; at least 1 unless it is empty."""
    return sum(1 for _ in _PIECE.finditer(text)) or int(bool(text))


def count_request(request: Mapping[str, Any]) -> int:
    """Count the tokens of a Messages request: system text, tools and messages."""
    return sum(count(text) for key in ("system", "tools", "messages") for text in _strings(request.get(key)))


def count_output(content: Iterable[Mapping[str, Any]]) -> int:
    """Count the tokens in the blocks of a response: text, and names and arguments of tool calls."""
    return sum(
        count(block["text"] if block["type"] == "text" else f"{block['name']} {json.dumps(block['input'])}")
        for block in content
    )


def truncate(text: str, limit: int) -> str:
    """Cut ``text`` after ``limit`` tokens."""
    if len(text) <= limit:
        return text
    following = next(islice(_PIECE.finditer(text), limit, None), None)
    return text if following is None else text[: following.start()].rstrip()


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
    elif value is not None:
        yield str(value)
