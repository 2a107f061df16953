"""Requests: authentication, parameters and body, checked against the contract."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs
from starlette.requests import ClientDisconnect, Request

from ..contract.operations import Operation, Parameter
from ..contract.strict_json import canonical, parse
from ..contract.validation import Violation
from ..domain.api_key import ANONYMOUS, Caller
from ..domain.audit import key_id
from ..domain.errors import ApiError, invalid_request
from ..domain.idempotency import IdempotencyKey
from ..runtime.http_protocol import AUTHENTICATED
from ..runtime.json_logging import add_log_ids
from ..services.container import Services

_DRAIN_FACTOR: Final = 4
"""Multiple of the size limit up to which the server still reads, and discards, a body that is too large."""
_INLINE_BYTES: Final = 100_000
"""Size up to which a body is validated in the event loop."""
_INTEGER: Final = re.compile(r"-?\d{1,18}", re.ASCII)


@attrs.frozen
class RequestContext:
    """A validated request with the services that handle it."""

    operation: Operation
    services: Services
    caller: Caller
    """The caller's API key; ``ANONYMOUS`` for an operation without authentication."""
    parameters: Mapping[str, Any]
    """Parameters present in the request, by Python name."""
    body: Any
    """Parsed body; None for an operation without one."""
    fingerprint: str
    """Hash of the body."""
    request: Request

    @property
    def owner(self) -> str:
        """Identity to which the caller's tasks, usage and idempotency keys belong."""
        return self.caller.owner

    @property
    def has_idempotency_key(self) -> bool:
        """True if the request can be repeated."""
        return "idempotency_key" in self.parameters

    def unknown_field_warnings(self, *known: str) -> tuple[str, ...]:
        """Return a warning for each field of the body that neither the contract nor ``known`` has."""
        unknown = [name for name in self.operation.unknown_fields(self.body) if name not in known]
        return tuple(f"This server does not know the field {name}; it was ignored." for name in unknown)

    async def wait_disconnected(self) -> None:
        """Wait until the caller has disconnected. The body has been read, so nothing else can arrive."""
        while (await self.request.receive())["type"] != "http.disconnect":
            pass

    def idempotency_key(self, scope: str) -> IdempotencyKey | None:
        """Return the ``Idempotency-Key`` of the request, if any."""
        value: str | None = self.parameters.get("idempotency_key")
        return None if value is None else IdempotencyKey(self.owner, scope, value, self.fingerprint)


async def read_request(request: Request, operation: Operation, services: Services, caller: Caller) -> RequestContext:
    """Read and validate a request. Raise ApiError."""
    body = b""
    if request.method in ("POST", "PUT", "PATCH", "DELETE"):
        body = await _read_body(request, services.settings.max_body_bytes)
    values = {parameter.python_name: _parameter_value(parameter, request) for parameter in operation.parameters}
    parameters = {name: value for name, value in values.items() if value is not None}
    parsed, fingerprint = None, ""
    if operation.body is not None:
        _check_content_type(request, body)
        # Validation takes 10 µs per message: a large body must not block other requests.
        if len(body) <= _INLINE_BYTES:
            parsed, fingerprint = _parse_body(operation, body)
        else:
            parsed, fingerprint = await asyncio.to_thread(_parse_body, operation, body)
    return RequestContext(operation, services, caller, parameters, parsed, fingerprint, request)


async def authenticate(request: Request, operation: Operation, services: Services) -> Caller:
    """Return the key of a request. A body is not read before, so that nobody without a key fills memory."""
    if not operation.needs_key:
        return ANONYMOUS
    client = request.scope.get("client")
    address = client[0] if client else ""
    caller = await services.api_keys.authenticate(_header(request, b"authorization"), address)
    request.scope.setdefault("state", {})[AUTHENTICATED] = True
    add_log_ids(key=key_id(caller.owner))
    return caller


def _header(request: Request, name: bytes) -> str | None:
    """Return a header by its name in lower case; of several, the first. Starlette would encode and decode all names."""
    for found, value in request.scope["headers"]:
        if found == name:
            text: str = value.decode("latin-1")
            return text
    return None


async def _read_body(request: Request, limit: int) -> bytes:
    """Read the body. One that is too large is drained up to a limit: clients read no response while they send."""
    chunks: list[bytes] = []
    size = 0
    declared = _header(request, b"content-length") or ""
    too_large = declared.isdigit() and int(declared) > limit * _DRAIN_FACTOR
    if not too_large:
        more = True
        while more and size <= limit * _DRAIN_FACTOR:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk, more = message.get("body", b""), message.get("more_body", False)
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
    if too_large or size > limit:
        raise ApiError(
            413, "request_too_large", f"The body is larger than {limit / 1e6:g} MB.",
            headers={"Connection": "close"},
        )  # fmt: skip
    return b"".join(chunks)


def _parameter_value(parameter: Parameter, request: Request) -> Any:
    """Return the validated value of a parameter; None if it is absent."""
    raw: str | None
    match parameter.location:
        case "path":
            raw = request.path_params.get(parameter.name)
        case "query":
            raw = request.query_params.get(parameter.name)
        case _:
            found = [value for name, value in request.scope["headers"] if name == parameter.asgi_name]
            raw = b", ".join(found).decode("latin-1") if found else None
    if raw is None:
        if parameter.required:
            raise invalid_request("is required.", parameter.name)
        return None
    value: Any = raw
    if "integer" in parameter.types:
        if _INTEGER.fullmatch(raw) is None:
            raise invalid_request("must be an integer.", parameter.name)
        value = int(raw)
    violation = parameter.validator.first_violation(value)
    if violation is not None:
        raise _rejected(Violation(parameter.name, violation.message))
    return value


def _check_content_type(request: Request, body: bytes) -> None:
    content_type = _header(request, b"content-type")
    if content_type is None or content_type == "application/json":
        return
    content_type = content_type.partition(";")[0].strip().lower()
    if content_type != "application/json" and body:
        raise invalid_request("must be application/json.", "Content-Type")


def _parse_body(operation: Operation, body: bytes) -> tuple[Any, str]:
    """Return the validated body and its hash."""
    if not body.strip():
        if operation.body_required:
            raise invalid_request("A JSON body is required.")
        return None, ""
    try:
        value = parse(body)
        fingerprint = hashlib.sha256(canonical(value)).hexdigest()
    except ValueError as error:
        raise invalid_request(_capitalize(str(error))) from None
    violation = operation.body.first_violation(value) if operation.body else None
    if violation is not None:
        raise _rejected(violation)
    return value, fingerprint


def _rejected(violation: Violation) -> ApiError:
    if violation.path:
        return invalid_request(f"{violation.message}.", violation.path)
    return invalid_request(f"The body {violation.message}.")


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]
