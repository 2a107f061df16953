# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.create_completion_request import CreateCompletionRequest
from ...models.error_body import Error
from ...types import UNSET, Response, Unset

if TYPE_CHECKING:
    import httpx


def _get_kwargs(
    *,
    body: CreateCompletionRequest,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/chat/completions/stream",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Error | str | None:
    if response.status_code == 200:
        response_200 = response.text
        return response_200

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


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[Error | str]:
    return Response(
        status_code=response.status_code,
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    body: CreateCompletionRequest,
    idempotency_key: str | Unset = UNSET,
) -> Response[Error | str]:
    """Stream a completion

     Returns server-sent events: `text_delta` events, then exactly one terminal event, `completion` or
    `error`.

    A repeated request with the same `Idempotency-Key` and the same body streams the stored reply and is
    not billed again.

    Besides violations of the schema, 400 means that all messages are system messages, or that the
    model's provider refused the request. Fields that the server does not know are named in `warnings`
    of the reply.

    Args:
        idempotency_key (str | Unset):
        body (CreateCompletionRequest): Conversation and parameters of a completion.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | str]
    """

    kwargs = _get_kwargs(
        body=body,
        idempotency_key=idempotency_key,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    body: CreateCompletionRequest,
    idempotency_key: str | Unset = UNSET,
) -> Error | str | None:
    """Stream a completion

     Returns server-sent events: `text_delta` events, then exactly one terminal event, `completion` or
    `error`.

    A repeated request with the same `Idempotency-Key` and the same body streams the stored reply and is
    not billed again.

    Besides violations of the schema, 400 means that all messages are system messages, or that the
    model's provider refused the request. Fields that the server does not know are named in `warnings`
    of the reply.

    Args:
        idempotency_key (str | Unset):
        body (CreateCompletionRequest): Conversation and parameters of a completion.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | str
    """

    return sync_detailed(
        client=client,
        body=body,
        idempotency_key=idempotency_key,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    body: CreateCompletionRequest,
    idempotency_key: str | Unset = UNSET,
) -> Response[Error | str]:
    """Stream a completion

     Returns server-sent events: `text_delta` events, then exactly one terminal event, `completion` or
    `error`.

    A repeated request with the same `Idempotency-Key` and the same body streams the stored reply and is
    not billed again.

    Besides violations of the schema, 400 means that all messages are system messages, or that the
    model's provider refused the request. Fields that the server does not know are named in `warnings`
    of the reply.

    Args:
        idempotency_key (str | Unset):
        body (CreateCompletionRequest): Conversation and parameters of a completion.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | str]
    """

    kwargs = _get_kwargs(
        body=body,
        idempotency_key=idempotency_key,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    body: CreateCompletionRequest,
    idempotency_key: str | Unset = UNSET,
) -> Error | str | None:
    """Stream a completion

     Returns server-sent events: `text_delta` events, then exactly one terminal event, `completion` or
    `error`.

    A repeated request with the same `Idempotency-Key` and the same body streams the stored reply and is
    not billed again.

    Besides violations of the schema, 400 means that all messages are system messages, or that the
    model's provider refused the request. Fields that the server does not know are named in `warnings`
    of the reply.

    Args:
        idempotency_key (str | Unset):
        body (CreateCompletionRequest): Conversation and parameters of a completion.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | str
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
            idempotency_key=idempotency_key,
        )
    ).parsed
