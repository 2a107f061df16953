"""One request, read and checked against the contract: who asks, with which parameters and body."""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from .contract import Operation, Parameter
from .errors import ApiError, invalid
from .services import Services
from .store import Claim
from .validation import Problem, canonical, parse

_DRAINED_AT_MOST = 4
_CHECKED_IN_PLACE = 100_000
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler gets."""

    operation: Operation
    services: Services
    key: str
    """The hash of the caller's key; empty where none is needed."""
    parameters: Mapping[str, Any]
    """By their Python names; those that were not sent are missing."""
    body: Any
    """As parsed; None for an operation without a body."""
    fingerprint: str
    """Stands for the body."""

    def claim(self, scope: str) -> Claim | None:
        """The Idempotency-Key, if there is one."""
        name: str | None = self.parameters.get("idempotency_key")
        return None if name is None else Claim(self.key, scope, name, self.fingerprint)


async def read(request: Request, operation: Operation, services: Services) -> Call:
    """Raises ApiError for whatever is wrong with the request."""
    body = b""
    if request.method in ("POST", "PUT", "PATCH", "DELETE"):
        body = await _body(request, services.settings.max_body_bytes)
    key = services.keys.check(request.headers.get("authorization")) if operation.needs_key else ""
    values = {parameter.python_name: _value(parameter, request) for parameter in operation.parameters}
    parameters = {name: value for name, value in values.items() if value is not None}
    parsed, fingerprint = None, ""
    if operation.body is not None:
        _check_content_type(request, body)
        # Checking takes 10 µs a message: a large body must not hold up the other calls.
        if len(body) <= _CHECKED_IN_PLACE:
            parsed, fingerprint = _checked(operation, body)
        else:
            parsed, fingerprint = await asyncio.to_thread(_checked, operation, body)
    return Call(operation, services, key, parameters, parsed, fingerprint)


async def _body(request: Request, limit: int) -> bytes:
    """The body. One that is too large is not kept, but read on for a while: who still writes hears nothing."""
    chunks: list[bytes] = []
    size = 0
    declared = request.headers.get("content-length", "")
    too_large = declared.isdigit() and int(declared) > limit * _DRAINED_AT_MOST
    if not too_large:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
            elif size > limit * _DRAINED_AT_MOST:
                break
    if too_large or size > limit:
        raise ApiError(
            413, "request_too_large", f"The body is larger than {limit / 1e6:g} MB.",
            headers={"Connection": "close"},
        )  # fmt: skip
    return b"".join(chunks)


def _value(parameter: Parameter, request: Request) -> Any:
    """A parameter's value, checked; None if it was not sent."""
    raw: str | None
    match parameter.location:
        case "path":
            raw = request.path_params.get(parameter.name)
        case "query":
            raw = request.query_params.get(parameter.name)
        case _:
            raw = ", ".join(request.headers.getlist(parameter.name)) if parameter.name in request.headers else None
    if raw is None:
        if parameter.required:
            raise invalid("is required.", parameter.name)
        return None
    value: Any = raw
    if "integer" in parameter.types:
        if _INTEGER.fullmatch(raw) is None:
            raise invalid("must be an integer.", parameter.name)
        value = int(raw)
    problem = parameter.checker.problem(value)
    if problem is not None:
        raise _refused(Problem(parameter.name, problem.text))
    return value


def _check_content_type(request: Request, body: bytes) -> None:
    given = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if given != "application/json" and body:
        raise invalid("must be application/json.", "Content-Type")


def _checked(operation: Operation, body: bytes) -> tuple[Any, str]:
    """The body as parsed, and what stands for it."""
    if not body.strip():
        if operation.body_required:
            raise invalid("A JSON body is required.")
        return None, ""
    try:
        value = parse(body)
        fingerprint = hashlib.sha256(canonical(value)).hexdigest()
    except ValueError as error:
        raise invalid(_sentence(str(error))) from None
    problem = operation.body.problem(value) if operation.body else None
    if problem is not None:
        raise _refused(problem)
    return value, fingerprint


def _refused(problem: Problem) -> ApiError:
    if problem.path:
        return invalid(f"{problem.text}.", problem.path)
    return invalid(f"The body {problem.text}.")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
