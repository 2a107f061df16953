"""Token counts of the offline model: each run of word characters and each other visible character is a token."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

_SHORT = 10_000
_REPEATED = 500
"""Characters of a text that is worth remembering: names of fields, and the model's own sentences, come every time."""
_PIECE = re.compile(r"\w+|[^\w\s]")


def count(text: str) -> int:
    """Count the tokens in ``text``; at least 1 unless it is empty."""
    return _count_repeated(text) if len(text) <= _REPEATED else _count(text)


def _count(text: str) -> int:
    # All at once is faster, but keeps other threads waiting, and takes memory for every token.
    tokens = len(_PIECE.findall(text)) if len(text) <= _SHORT else sum(1 for _ in _PIECE.finditer(text))
    return tokens or int(bool(text))


_count_repeated = lru_cache(64)(_count)


def count_request(request: Mapping[str, Any]) -> int:
    """Count the tokens of a Messages request: system text, tools and messages."""
    texts: list[str] = []
    for key in ("system", "tools", "messages"):
        _collect(request.get(key), texts)
    return sum(map(count, texts))


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


def _collect(value: Any, texts: list[str]) -> None:
    """Append all texts in a JSON value, and the names of its fields."""
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, dict):
        for name, item in value.items():
            texts.append(str(name))
            _collect(item, texts)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect(item, texts)
    elif value is not None:
        texts.append(str(value))
