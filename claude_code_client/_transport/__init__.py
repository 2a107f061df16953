"""HTTP, threads and event loops. The only package that knows httpx: another library would replace it here alone."""

from .async_connection import AsyncConnection
from .endpoints import AsyncEndpoints, Endpoints, SyncEndpoints
from .sync_connection import SyncConnection

__all__ = ["AsyncConnection", "AsyncEndpoints", "Endpoints", "SyncConnection", "SyncEndpoints"]
