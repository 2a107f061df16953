"""Bare Starlette application on uvicorn and h11, with one route that reads JSON and responds with JSON."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.common import PATH


async def _complete(request: Request) -> JSONResponse:
    body: dict[str, Any] = await request.json()
    text = {"type": "text", "text": f"You said: {body['messages'][0]['content']}"}
    return JSONResponse({"id": "cmpl_1", "role": "assistant", "content": [text], "usage": {"input_tokens": 1}})


async def _serve() -> None:
    app = Starlette(routes=[Route(PATH, _complete, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, http="h11", loop="asyncio", log_level="warning", access_log=False))
    # With the protocol, or asyncio would leave Nagle's algorithm on.
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        print(listening.getsockname()[1], flush=True)
        serving = asyncio.create_task(server.serve([listening]))
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(_serve())
