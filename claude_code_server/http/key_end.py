"""End of responses whose key ends meanwhile: revoked, expired or rotated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from starlette.types import Message, Send

from ..services.auth import invalid_key

_LAST_SEND: Final = 1.0
"""Seconds in which a client must take the end of its stream; then the connection is closed."""


async def respond_while_valid(respond: Callable[[Send], Awaitable[None]], send: Send, ended: asyncio.Event) -> None:
    """Run ``respond`` until the key of its request has ended.

    A stream then ends without a terminal event; a response that has not started becomes a 401. One whose length has
    been announced is sent to its end.
    """
    started = endless = complete = False

    async def tracked_send(message: Message) -> None:
        nonlocal started, endless, complete
        if message["type"] == "http.response.start":
            started = True
            endless = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
        await send(message)
        complete = message["type"] == "http.response.body" and not message.get("more_body", False)

    working = asyncio.ensure_future(respond(tracked_send))
    ending = asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        if working.done() or (started and not endless):
            await working
            return
    finally:
        working.cancel()
        ending.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)
    if not started:
        raise invalid_key()
    if not complete:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_SEND):
                await send({"type": "http.response.body", "body": b""})
