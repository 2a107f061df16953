"""HTTP, threads and event loops. The only package that knows httpx and httpcore: others would replace them here alone."""

from .async_connection import AsyncConnection
from .async_execution import AsyncExecution
from .endpoints import AsyncEndpoints, Endpoints, SyncEndpoints
from .sync_connection import SyncConnection
from .sync_stream import SyncStream

__all__ = [
    "AsyncConnection",
    "AsyncEndpoints",
    "AsyncExecution",
    "Endpoints",
    "SyncConnection",
    "SyncEndpoints",
    "SyncStream",
]
