"""Values of ``error.type`` in the API's error bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ERROR_TYPE_BY_STATUS: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "cost_exceeded_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "idempotency_error",
    413: "request_too_large",
    415: "invalid_request_error",
    416: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    431: "request_too_large",
    500: "server_error",
    501: "not_implemented_error",
    503: "overloaded_error",
    529: "overloaded_error",
}
"""The type that a status stands for where a body names none."""
