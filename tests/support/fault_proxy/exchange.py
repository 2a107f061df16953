"""What passes through the fault proxy, and plans of what to do to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from support.fault_proxy.faults import Fault, StartFault


@dataclass
class Exchange:
    """One request and its response, as far as they came."""

    number: int
    """On its port, from 0."""
    fault: Fault | None = None
    method: str = ""
    path: str = ""
    """Empty where the request did not come whole."""
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case."""
    request_bytes: int = 0
    response_bytes: int = 0
    reached: bool = False
    """Whether its fault has taken place, or has begun to."""

    @property
    def is_submit(self) -> bool:
        return self.method == "POST" and self.path.endswith("/task")

    @property
    def is_cancel(self) -> bool:
        return self.method == "POST" and self.path.endswith("/cancel")


Plan = Callable[[Exchange], Fault | None]
"""Asked twice for an exchange: before a byte of it is read, and, unless that gave a fault, with its whole request."""


def no_faults(_: Exchange) -> None:
    """A plan."""


class Once:
    """A plan: one fault, for the first exchange that ``when`` is so of."""

    def __init__(self, fault: Fault, when: Callable[[Exchange], bool] | None = None) -> None:
        self._fault: Fault | None = fault
        self._early = isinstance(fault, StartFault) and when is None
        self._when = when or (lambda _: True)

    def __call__(self, exchange: Exchange) -> Fault | None:
        if self._fault is None or (not self._early and not exchange.path) or not self._when(exchange):
            return None
        fault, self._fault = self._fault, None
        return fault
