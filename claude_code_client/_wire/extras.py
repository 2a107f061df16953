"""Fields and headers that a call adds to its request because this version has no parameters for them. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
from claude_code_api.constraints import CONSTRAINTS

from .._config import check_headers
from ..errors import InvalidRequestError
from .requests import json_object

_PARAMETERS: Final = frozenset(
    {"extra_body", "extra_headers", "idempotency_key", "on_event", "prompt", "stall_timeout", "timeout"}
)
"""Parameters of calls that are not fields of their bodies."""
_OWN_HEADERS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "idempotency-key",
        "keep-alive",
        "prefer",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers on which the client itself, or HTTP, depends."""


@attrs.frozen(eq=False)
class Extras:
    """Checked additions to one request. The repr shows none of the values, which may be secrets."""

    body: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)

    def add_to(self, body: Any) -> None:
        """Add the fields to a generated request body.

        Raises InvalidRequestError for a field that the call has a parameter for.
        """
        if not self.body:
            return
        known = {*CONSTRAINTS[type(body).__name__], *_PARAMETERS, *body.to_dict()}
        for name in self.body:
            if name in known:
                raise InvalidRequestError(
                    f"extra_body must not contain {name}, which is a parameter of the call.", param="extra_body"
                )
        body.additional_properties.update(self.body)


def call_extras(extra_body: Mapping[str, Any] | None, extra_headers: Mapping[str, str] | None) -> Extras:
    """Return the additions to a request. Raises InvalidRequestError, naming the parameter."""
    if extra_body is None and extra_headers is None:
        return Extras()
    headers = check_headers(extra_headers, "extra_headers")
    for name in headers:
        if name.lower() in _OWN_HEADERS:
            raise InvalidRequestError(
                f"extra_headers must not contain {name}, which the client sets itself.", param="extra_headers"
            )
    return Extras({} if extra_body is None else json_object("extra_body", extra_body), headers)
