# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.agentic_task_response import AgenticTaskResponse
from ...models.error_body import Error
from ...types import UNSET, Response, Unset

if TYPE_CHECKING:
    import httpx


def _get_kwargs(
    task_id: str,
    *,
    prefer: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(prefer, Unset):
        headers["Prefer"] = prefer

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/task/{task_id}".format(
            task_id=quote(str(task_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> AgenticTaskResponse | Error | None:
    if response.status_code == 200:
        response_200 = AgenticTaskResponse.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = Error.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = Error.from_dict(response.json())

        return response_401

    if response.status_code == 404:
        response_404 = Error.from_dict(response.json())

        return response_404

    if response.status_code == 429:
        response_429 = Error.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = Error.from_dict(response.json())

        return response_500

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
    task_id: str,
    *,
    client: AuthenticatedClient,
    prefer: str | Unset = UNSET,
) -> Response[AgenticTaskResponse | Error]:
    """Get a task

     Returns the current state of the task. With `Prefer: wait=N`, the server responds when the task ends
    or after N seconds, whichever comes first (long polling).

    Args:
        task_id (str):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AgenticTaskResponse | Error]
    """

    kwargs = _get_kwargs(
        task_id=task_id,
        prefer=prefer,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    task_id: str,
    *,
    client: AuthenticatedClient,
    prefer: str | Unset = UNSET,
) -> AgenticTaskResponse | Error | None:
    """Get a task

     Returns the current state of the task. With `Prefer: wait=N`, the server responds when the task ends
    or after N seconds, whichever comes first (long polling).

    Args:
        task_id (str):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AgenticTaskResponse | Error
    """

    return sync_detailed(
        task_id=task_id,
        client=client,
        prefer=prefer,
    ).parsed


async def asyncio_detailed(
    task_id: str,
    *,
    client: AuthenticatedClient,
    prefer: str | Unset = UNSET,
) -> Response[AgenticTaskResponse | Error]:
    """Get a task

     Returns the current state of the task. With `Prefer: wait=N`, the server responds when the task ends
    or after N seconds, whichever comes first (long polling).

    Args:
        task_id (str):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[AgenticTaskResponse | Error]
    """

    kwargs = _get_kwargs(
        task_id=task_id,
        prefer=prefer,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    task_id: str,
    *,
    client: AuthenticatedClient,
    prefer: str | Unset = UNSET,
) -> AgenticTaskResponse | Error | None:
    """Get a task

     Returns the current state of the task. With `Prefer: wait=N`, the server responds when the task ends
    or after N seconds, whichever comes first (long polling).

    Args:
        task_id (str):
        prefer (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        AgenticTaskResponse | Error
    """

    return (
        await asyncio_detailed(
            task_id=task_id,
            client=client,
            prefer=prefer,
        )
    ).parsed
