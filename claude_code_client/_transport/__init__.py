"""HTTP: the only package that knows httpx, so that another client library could take its place here alone."""

from .api import AsyncEndpoints, Endpoints, SyncEndpoints
from .async_driver import AsyncConnection
from .sync_driver import SyncConnection

__all__ = ["AsyncConnection", "AsyncEndpoints", "Endpoints", "SyncConnection", "SyncEndpoints"]
