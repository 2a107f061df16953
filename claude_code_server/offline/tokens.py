"""Token counts by a stated rule: each run of word characters and each other visible sign is one."""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

_PIECE = re.compile(r"\w+|[^\w\s]")


def count(text: str) -> int:
    """Tokens in ``text``; at least 1 unless it is empty."""
    return sum(1 for _ in _PIECE.finditer(text)) or int(bool(text))


def count_request(request: Mapping[str, Any]) -> int:
    """Tokens in all that the request sends: system text, tools and messages."""
    return sum(count(text) for key in ("system", "tools", "messages") for text in _strings(request.get(key)))


def count_output(content: Iterable[Mapping[str, Any]]) -> int:
    """Tokens in the blocks of a response: text, and names and arguments of tool calls."""
    return sum(
        count(block["text"] if block["type"] == "text" else f"{block['name']} {json.dumps(block['input'])}")
        for block in content
    )


def truncate(text: str, limit: int) -> str:
    """``text`` up to the end of its token number ``limit``."""
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
