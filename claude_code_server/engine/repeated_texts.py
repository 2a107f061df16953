"""Token estimates of texts that agents repeat: each call of a task sends the instructions, tools and messages again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from claude_code_common.token_estimate import estimate_tokens

_LONG: Final = 200
"""Characters from which an estimate takes longer than a digest."""
_MAX_KNOWN: Final = 10_000
_known: dict[bytes, int] = {}
"""Estimates by digest, so that no prompt stays in memory."""


def estimate_texts(texts: Iterable[str]) -> int:
    """Return about how many tokens the texts have together, with a separator after each."""
    tokens, short = 0, []
    for text in texts:
        if len(text) < _LONG:
            short.append(text)
        else:
            tokens += _estimate_long(text) + 1
    return tokens + estimate_tokens("\n".join(short))


def _estimate_long(text: str) -> int:
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
    known = _known.get(digest)
    if known is None:
        known = estimate_tokens(text)
        # Several threads may be here: each step is atomic.
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known[digest] = known
    return known
