"""Limiter of attempts with wrong API keys, per address.

An address that has sent many wrong keys has to wait before it learns whether another key is right. Keys that this
address has used successfully before do not wait, so that nobody is locked out by a stranger behind the same address.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import attrs

_FREE: Final = 10.0
"""Failures without a delay."""
_MOST: Final = 16.0
"""Failures that are counted, so that an address recovers soon."""
_RECOVERY: Final = 0.5
"""Failures that are forgiven per second."""
_FIRST_DELAY: Final = 0.25
_MAX_DELAY: Final = 5.0
"""Seconds."""
_MAX_WAITING: Final = 32
"""Attempts of one address that may wait at the same time."""
_MAX_ADDRESSES: Final = 4096
_MAX_TRUSTED: Final = 4096
_IPV6_NETWORK: Final = 64
"""Bits of an IPv6 address that stand for one user."""


@attrs.define
class _Address:
    failures: float = 0.0
    """Recent failures at ``updated``."""
    updated: float = 0.0
    waiting: int = 0


class FailureLimiter:
    """Recent failures by address, and the keys that addresses have used successfully. Does not wait itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._addresses: OrderedDict[str, _Address] = OrderedDict()
        self._trusted: OrderedDict[tuple[str, str], None] = OrderedDict()

    def delay(self, address: str) -> float:
        """Return the seconds that an attempt with a key that is not trusted has to wait."""
        failures = self._recent_failures(_network(address))
        # Each failure counts for a little less than one, because forgiveness starts at once.
        return 0.0 if failures <= _FREE - 1 else min(_MAX_DELAY, _FIRST_DELAY * 2 ** (failures - _FREE))

    def start_waiting(self, address: str) -> bool:
        """Count an attempt that waits. Return False if too many attempts of the address wait already."""
        known = self._addresses.get(_network(address))
        if known is None or known.waiting >= _MAX_WAITING:
            return False
        known.waiting += 1
        return True

    def stop_waiting(self, address: str) -> None:
        """Count an attempt that does not wait any more."""
        known = self._addresses.get(_network(address))
        if known is not None and known.waiting:
            known.waiting -= 1

    def record_failure(self, address: str) -> None:
        """Count a wrong key."""
        network = _network(address)
        failures = min(_MOST, self._recent_failures(network) + 1)
        entry = self._addresses.setdefault(network, _Address())
        entry.failures, entry.updated = failures, self._clock()
        self._addresses.move_to_end(network)
        while len(self._addresses) > _MAX_ADDRESSES:
            self._addresses.popitem(last=False)

    def trust(self, address: str, key_hash: str) -> None:
        """Remember that the address has sent an accepted key."""
        known = (_network(address), key_hash)
        self._trusted[known] = None
        self._trusted.move_to_end(known)
        while len(self._trusted) > _MAX_TRUSTED:
            self._trusted.popitem(last=False)

    def trusts(self, address: str, key_hash: str) -> bool:
        """Return whether the address has sent this key successfully before."""
        return (_network(address), key_hash) in self._trusted

    def _recent_failures(self, network: str) -> float:
        known = self._addresses.get(network)
        if known is None:
            return 0.0
        return max(0.0, known.failures - (self._clock() - known.updated) * _RECOVERY)


@lru_cache(_MAX_ADDRESSES)
def _network(address: str) -> str:
    """Return the group of addresses that one user may have: all of loopback, or an IPv6 network."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    if parsed.is_loopback:
        return "loopback"
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _IPV6_NETWORK), strict=False))
    return str(parsed)
