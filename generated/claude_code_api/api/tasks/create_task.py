# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.agentic_task_response import AgenticTaskResponse
from ...models.create_task_request import CreateTaskRequest
from ...models.error_body import Error
from ...types import UNSET, Response, Unset

if TYPE_CHECKING:
    import httpx


def _get_kwargs(
    *,
    body: CreateTaskRequest,
    idempotency_key: str | Unset = UNSET,
    prefer: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key

    if not isinstance(prefer, Unset):
        headers["Prefer"] = prefer

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/task",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> AgenticTaskResponse | Error | None:
    if response.status_code == 200:
        response_200 = AgenticTaskResponse.from_dict(response.json())

        return response_200

    if response.status_code == 202:
        response_202 = AgenticTaskResponse.from_dict(response.json())

        return response_202

    if response.status_code == 400:
        response_400 = Error.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = Error.from_dict(response.json())

        return response_401

    if response.status_code == 402:
        response_402 = Error.from_dict(response.json())

        return response_402

    if response.status_code == 403:
        response_403 = Error.from_dict(response.json())

        return response_403

    if response.status_code == 408:
        response_408 = Error.from_dict(response.json())

        return response_408

    if response.status_code == 409:
        response_409 = Error.from_dict(response.json())

        return response_409

    if response.status_code == 413:
        response_413 = Error.from_dict(response.json())

        return response_413

    if response.status_code == 429:
        response_429 = Error.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = Error.from_dict(response.json())

        return response_500

    if response.status_code == 503:
        response_503 = Error.from_dict(response.json())

        return response_503

    if response.status_code == 529:
        response_529 = Error.from_dict(response.json())

        return response_529

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[AgenticTaskResponse | Error]:
    return Response(
        status_code=response.status_code,
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    body: CreateTaskRequest,
    idempotency_key: str | Unset = UNSET,
    prefer: str | Unset = UNSET,
) -> Response[AgenticTaskResponse | Error]:
    """Run an agentic task

     Without `Prefer`, the request blocks until the task ends, and returns 200. With `Prefer: respond-
    async, wait=N` (RFC 7240), it returns 200 if the task ends within N seconds, otherwise 202 with the
    current state of the task and a `Location` header.

    A repeated request with the same `Idempotency-Key` and the same body returns the same task and never
    starts a second run. The same key with a different body is rejected with 409 `idempotency_error`.

    Besides violations of the schema, 400 means that a tool, agent or skill does not exist, or that
    `working_directory` does not exist or is outside the workspace; the error names the field. Fields
    that the server does not know are named in `warnings` of the task.

    Args:
        idempotency_key (str | Unset):
        prefer (str | Unset):
        body (CreateTaskRequest): Instructions, permissions and limits of a task.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AgenticTaskResponse | Error]
    """

    kwargs = _get_kwargs(
        body=body,
        idempotency_key=idempotency_key,
        prefer=prefer,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    body: CreateTaskRequest,
    idempotency_key: str | Unset = UNSET,
    prefer: str | Unset = UNSET,
) -> AgenticTaskResponse | Error | None:
    """Run an agentic task

     Without `Prefer`, the request blocks until the task ends, and returns 200. With `Prefer: respond-
    async, wait=N` (RFC 7240), it returns 200 if the task ends within N seconds, otherwise 202 with the
    current state of the task and a `Location` header.

    A repeated request with the same `Idempotency-Key` and the same body returns the same task and never
    starts a second run. The same key with a different body is rejected with 409 `idempotency_error`.

    Besides violations of the schema, 400 means that a tool, agent or skill does not exist, or that
    `working_directory` does not exist or is outside the workspace; the error names the field. Fields
    that the server does not know are named in `warnings` of the task.

    Args:
        idempotency_key (str | Unset):
        prefer (str | Unset):
        body (CreateTaskRequest): Instructions, permissions and limits of a task.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AgenticTaskResponse | Error
    """

    return sync_detailed(
        client=client,
        body=body,
        idempotency_key=idempotency_key,
        prefer=prefer,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    body: CreateTaskRequest,
    idempotency_key: str | Unset = UNSET,
    prefer: str | Unset = UNSET,
) -> Response[AgenticTaskResponse | Error]:
    """Run an agentic task

     Without `Prefer`, the request blocks until the task ends, and returns 200. With `Prefer: respond-
    async, wait=N` (RFC 7240), it returns 200 if the task ends within N seconds, otherwise 202 with the
    current state of the task and a `Location` header.

    A repeated request with the same `Idempotency-Key` and the same body returns the same task and never
    starts a second run. The same key with a different body is rejected with 409 `idempotency_error`.

    Besides violations of the schema, 400 means that a tool, agent or skill does not exist, or that
    `working_directory` does not exist or is outside the workspace; the error names the field. Fields
    that the server does not know are named in `warnings` of the task.

    Args:
        idempotency_key (str | Unset):
        prefer (str | Unset):
        body (CreateTaskRequest): Instructions, permissions and limits of a task.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AgenticTaskResponse | Error]
    """

    kwargs = _get_kwargs(
        body=body,
        idempotency_key=idempotency_key,
        prefer=prefer,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    body: CreateTaskRequest,
    idempotency_key: str | Unset = UNSET,
    prefer: str | Unset = UNSET,
) -> AgenticTaskResponse | Error | None:
    """Run an agentic task

     Without `Prefer`, the request blocks until the task ends, and returns 200. With `Prefer: respond-
    async, wait=N` (RFC 7240), it returns 200 if the task ends within N seconds, otherwise 202 with the
    current state of the task and a `Location` header.

    A repeated request with the same `Idempotency-Key` and the same body returns the same task and never
    starts a second run. The same key with a different body is rejected with 409 `idempotency_error`.

    Besides violations of the schema, 400 means that a tool, agent or skill does not exist, or that
    `working_directory` does not exist or is outside the workspace; the error names the field. Fields
    that the server does not know are named in `warnings` of the task.

    Args:
        idempotency_key (str | Unset):
        prefer (str | Unset):
        body (CreateTaskRequest): Instructions, permissions and limits of a task.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AgenticTaskResponse | Error
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
            idempotency_key=idempotency_key,
            prefer=prefer,
        )
    ).parsed
