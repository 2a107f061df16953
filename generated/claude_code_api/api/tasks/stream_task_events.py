# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_body import Error
from ...types import UNSET, Response, Unset

if TYPE_CHECKING:
    import httpx


def _get_kwargs(
    task_id: str,
    *,
    last_event_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(last_event_id, Unset):
        headers["Last-Event-ID"] = last_event_id

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/task/{task_id}/events".format(
            task_id=quote(str(task_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Any | Error | str | None:
    if response.status_code == 200:
        response_200 = response.text
        return response_200

    if response.status_code == 204:
        response_204 = cast(Any, None)
        return response_204

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


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[Any | Error | str]:
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
    last_event_id: str | Unset = UNSET,
) -> Response[Any | Error | str]:
    """Stream the events of a task

     Returns server-sent events, starting with the first event or with the one after `Last-Event-ID`,
    also for a task that has ended. The `id` of an event is its sequence number within the task, counted
    from 1 without gaps; `event` is its type. Exactly one event is terminal (`result` or `error`), and
    it is always the last. A comment line `: ping` every 15 seconds shows that the connection is alive.

    After the terminal event there is nothing more to stream: if `Last-Event-ID` is the ID of that
    event, the response is 204 without a body. An `EventSource` in a browser then stops reconnecting. A
    `Last-Event-ID` above that of the task's last event is rejected with 400.

    Events survive a restart of the server: every event that was sent once can be streamed again. A task
    that the server could not finish gets the status `failed` and ends with an `error` event of type
    `server_error`.

    Args:
        task_id (str):
        last_event_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Error | str]
    """

    kwargs = _get_kwargs(
        task_id=task_id,
        last_event_id=last_event_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    task_id: str,
    *,
    client: AuthenticatedClient,
    last_event_id: str | Unset = UNSET,
) -> Any | Error | str | None:
    """Stream the events of a task

     Returns server-sent events, starting with the first event or with the one after `Last-Event-ID`,
    also for a task that has ended. The `id` of an event is its sequence number within the task, counted
    from 1 without gaps; `event` is its type. Exactly one event is terminal (`result` or `error`), and
    it is always the last. A comment line `: ping` every 15 seconds shows that the connection is alive.

    After the terminal event there is nothing more to stream: if `Last-Event-ID` is the ID of that
    event, the response is 204 without a body. An `EventSource` in a browser then stops reconnecting. A
    `Last-Event-ID` above that of the task's last event is rejected with 400.

    Events survive a restart of the server: every event that was sent once can be streamed again. A task
    that the server could not finish gets the status `failed` and ends with an `error` event of type
    `server_error`.

    Args:
        task_id (str):
        last_event_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Error | str
    """

    return sync_detailed(
        task_id=task_id,
        client=client,
        last_event_id=last_event_id,
    ).parsed


async def asyncio_detailed(
    task_id: str,
    *,
    client: AuthenticatedClient,
    last_event_id: str | Unset = UNSET,
) -> Response[Any | Error | str]:
    """Stream the events of a task

     Returns server-sent events, starting with the first event or with the one after `Last-Event-ID`,
    also for a task that has ended. The `id` of an event is its sequence number within the task, counted
    from 1 without gaps; `event` is its type. Exactly one event is terminal (`result` or `error`), and
    it is always the last. A comment line `: ping` every 15 seconds shows that the connection is alive.

    After the terminal event there is nothing more to stream: if `Last-Event-ID` is the ID of that
    event, the response is 204 without a body. An `EventSource` in a browser then stops reconnecting. A
    `Last-Event-ID` above that of the task's last event is rejected with 400.

    Events survive a restart of the server: every event that was sent once can be streamed again. A task
    that the server could not finish gets the status `failed` and ends with an `error` event of type
    `server_error`.

    Args:
        task_id (str):
        last_event_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Error | str]
    """

    kwargs = _get_kwargs(
        task_id=task_id,
        last_event_id=last_event_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    task_id: str,
    *,
    client: AuthenticatedClient,
    last_event_id: str | Unset = UNSET,
) -> Any | Error | str | None:
    """Stream the events of a task

     Returns server-sent events, starting with the first event or with the one after `Last-Event-ID`,
    also for a task that has ended. The `id` of an event is its sequence number within the task, counted
    from 1 without gaps; `event` is its type. Exactly one event is terminal (`result` or `error`), and
    it is always the last. A comment line `: ping` every 15 seconds shows that the connection is alive.

    After the terminal event there is nothing more to stream: if `Last-Event-ID` is the ID of that
    event, the response is 204 without a body. An `EventSource` in a browser then stops reconnecting. A
    `Last-Event-ID` above that of the task's last event is rejected with 400.

    Events survive a restart of the server: every event that was sent once can be streamed again. A task
    that the server could not finish gets the status `failed` and ends with an `error` event of type
    `server_error`.

    Args:
        task_id (str):
        last_event_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Error | str
    """

    return (
        await asyncio_detailed(
            task_id=task_id,
            client=client,
            last_event_id=last_event_id,
        )
    ).parsed
