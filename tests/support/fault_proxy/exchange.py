"""Exchanges that pass through the fault proxy, and the plans that choose their faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from support.fault_proxy.faults import Fault, StartFault


@dataclass
class Exchange:
    """One request and its response, as far as they got."""

    number: int
    """Position on its port, from 0."""
    fault: Fault | None = None
    method: str = ""
    path: str = ""
    """Empty if the request did not arrive whole."""
    headers: dict[str, str] = field(default_factory=dict)
    """Names are lower case."""
    request_bytes: int = 0
    response_bytes: int = 0
    reached: bool = False
    """True once its fault has been injected, or has begun."""

    @property
    def is_submit(self) -> bool:
        return self.method == "POST" and self.path.endswith("/task")

    @property
    def is_cancel(self) -> bool:
        return self.method == "POST" and self.path.endswith("/cancel")


Plan = Callable[[Exchange], Fault | None]
"""Called before an exchange's first byte is read and, unless that returned a fault, again with the whole request."""


def no_faults(_: Exchange) -> None:
    """Plan without faults."""


class Once:
    """Plan with one fault, for the first exchange for which ``when`` is true."""

    def __init__(self, fault: Fault, when: Callable[[Exchange], bool] | None = None) -> None:
        self._fault: Fault | None = fault
        self._early = isinstance(fault, StartFault) and when is None
        self._when = when or (lambda _: True)

    def __call__(self, exchange: Exchange) -> Fault | None:
        if self._fault is None or (not self._early and not exchange.path) or not self._when(exchange):
            return None
        fault, self._fault = self._fault, None
        return fault
