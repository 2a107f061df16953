"""Errors that the server reports to its clients."""

from __future__ import annotations

from collections.abc import Mapping


class ApiError(Exception):
    """An error response. The message is one line for the caller and contains neither a key nor a prompt."""

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
        """Create an error response.

        ``status`` is the HTTP status, ``type`` an error type of the contract, ``param`` the field of the request
        that is wrong, ``estimated_cost`` is in USD, ``retry_after`` in seconds.
        """
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


def invalid_request(message: str, param: str | None = None) -> ApiError:
    """Return a 400 for an invalid request. The message is prefixed with the field ``param``, if given."""
    return ApiError(400, "invalid_request_error", f"{param}: {message}" if param else message, param=param)


def not_found(resource: str) -> ApiError:
    """Return a 404 for a task or artifact that does not exist or belongs to another key."""
    return ApiError(404, "not_found_error", f"No such {resource}, or it belongs to another API key.")


def not_implemented(message: str) -> ApiError:
    """Return a 501 for a part of the contract that this server does not implement."""
    return ApiError(501, "not_implemented_error", message)


def overloaded(message: str, retry_after: float) -> ApiError:
    """Return a 503 for a request that was refused before anything was stored or started."""
    return ApiError(503, "overloaded_error", message, retry_after=retry_after)


def storage_unavailable() -> ApiError:
    """Return a 503 for work that was not started because its cost could not be stored."""
    message = "The server cannot store anything at the moment, so it starts no new work. Nothing was charged."
    return overloaded(message, 5)


def shutting_down() -> ApiError:
    """Return a 503 for a request that arrives while the server stops."""
    return overloaded("The server is shutting down.", 5)
