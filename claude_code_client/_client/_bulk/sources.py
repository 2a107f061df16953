"""Sources of items. No I/O."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping, Sized
from typing import Any

from ...errors import InvalidRequestError


def check_items(items: Any, *, may_be_async: bool = False) -> None:
    """Raise InvalidRequestError for what is not a collection or an iterator of items."""
    # A str and a dict can be iterated over, but are one item.
    if isinstance(items, Iterable) and not isinstance(items, str | bytes | Mapping):
        return
    if may_be_async and isinstance(items, AsyncIterable):
        return
    raise InvalidRequestError(
        f"items must be a list or another iterable of items, not {type(items).__name__}.", param="items"
    )


def length_of(items: Any) -> int | None:
    """Return the number of items, if it is known."""
    return len(items) if isinstance(items, Sized) else None
