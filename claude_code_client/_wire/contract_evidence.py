"""Evidence in a response that the server keeps the contract; the legacy service shows none of it. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .error_bodies import is_error_type


def in_headers(headers: Mapping[str, str]) -> bool:
    """Return whether the headers of a response show that the server keeps the contract."""
    return bool(headers.get("Preference-Applied"))


def in_body(content: bytes) -> bool:
    """Return whether the body of an error, or of the server's health, shows that the server keeps the contract."""
    try:
        body: Any = json.loads(content)
    except (ValueError, RecursionError):
        return False
    if not isinstance(body, dict):
        return False
    error = body.get("error")
    return isinstance(body.get("spec_version"), str) or (isinstance(error, dict) and is_error_type(error.get("type")))
