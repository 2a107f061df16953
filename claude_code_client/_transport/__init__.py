"""HTTP: the only package that knows httpx, so that another client library could take its place here alone."""

from ._api import AsyncEndpoints, SyncEndpoints
from ._async import AsyncConnection
from ._sync import SyncConnection

__all__ = ["AsyncConnection", "AsyncEndpoints", "SyncConnection", "SyncEndpoints"]
