"""Headers that responses carry beside their body: the request's ID and the rate limit. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from claude_code_common.rate_limit import RateLimit

from ..models import AgenticTaskResponse, CompletionResponse

M = TypeVar("M", CompletionResponse, AgenticTaskResponse)


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """Return the rate limit that a response states; None if it states none."""
    if "x-ratelimit-limit" not in headers and "x-ratelimit-remaining" not in headers:
        return None
    limit, remaining = header_number(headers, "limit"), header_number(headers, "remaining")
    return RateLimit(
        limit=None if limit is None else int(limit),
        remaining=None if remaining is None else int(remaining),
        reset=header_number(headers, "reset"),
    )


def header_number(headers: Mapping[str, str], name: str) -> float | None:
    """Return the number in a header ``X-RateLimit-…``; None if there is none that could be a limit."""
    try:
        number = float(headers.get(f"x-ratelimit-{name}") or "-1")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def with_headers(model: M, headers: Mapping[str, str]) -> M:
    """Add to the model of a response, which nobody else has yet, what its headers say; return it."""
    # Not attrs.evolve(): a copy would take a fiftieth of a call's time.
    object.__setattr__(model, "request_id", headers.get("x-request-id"))
    object.__setattr__(model, "rate_limit", rate_limit(headers))
    return model
