"""What goes wrong, as the contract tells of it."""

import math
from collections.abc import Mapping

from claude_code_api.models import Error, ErrorDetail
from claude_code_api.types import UNSET
from starlette.responses import Response

from .wire import json_bytes


class ApiError(Exception):
    """An answer other than success. ``retry_after`` is in seconds, ``estimated_cost`` in USD.

    The message is one line for the caller, and holds no key and no prompt.
    """

    def __init__(
        self,
        status: int,
        type: str,
        message: str,
        *,
        param: str | None = None,
        estimated_cost: float | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, type, message)
        self.status = status
        self.type = type
        self.message = message
        self.param = param
        self.estimated_cost = estimated_cost
        self.retry_after = retry_after
        self.headers = dict(headers or {})

    def __str__(self) -> str:
        return self.message

    def detail(self) -> ErrorDetail:
        return ErrorDetail(
            type_=self.type,
            message=self.message,
            param=UNSET if self.param is None else self.param,
            estimated_cost=UNSET if self.estimated_cost is None else self.estimated_cost,
            retry_after=UNSET if self.retry_after is None else self.retry_after,
        )

    def response(self, request_id: str) -> Response:
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers["Retry-After"] = str(math.ceil(self.retry_after))
        body = json_bytes(Error(error=self.detail(), request_id=request_id).to_dict())
        return Response(body, self.status, headers, media_type="application/json")


def invalid(message: str, param: str | None = None) -> ApiError:
    """400: the request is not as it has to be. The message starts with the field, when there is one."""
    return ApiError(400, "invalid_request_error", f"{param}: {message}" if param else message, param=param)


def not_found(what: str) -> ApiError:
    return ApiError(404, "not_found_error", f"There is no {what}, or not for this key.")


def shutting_down() -> ApiError:
    return ApiError(503, "overloaded_error", "The server is shutting down.", retry_after=5)
