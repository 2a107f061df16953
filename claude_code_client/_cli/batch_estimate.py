"""Estimates of what a batch costs: at most, by the prices of its lines; and probably, by a sample that was run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from .._client._bulk.arguments import batch_options
from .._client._bulk.calls import most_cost
from .._client._bulk.items import ItemReader
from .._client._bulk.results import BatchResult
from .._client._sync.client import ClaudeClient
from ..errors import ClaudeAPIError, NotSupportedError
from .batch_lines import BadLine, RequestLine


@attrs.define
class Check:
    """Lines that were checked, and not run."""

    good: int = 0
    most: float | None = 0.0
    """USD that the good lines may cost at most; None if the server states no prices."""
    problems: list[tuple[int, str]] = attrs.field(factory=list)
    """Numbers of bad lines, and what is wrong with them."""

    def describe(self, total: int) -> str:
        """Return what was found, for a file of ``total`` requests."""
        seen = self.good + len(self.problems)
        text = f"{seen} of {total} requests checked: {self.good} good, {len(self.problems)} bad\n"
        if self.most is None:
            return f"{text}cost: unknown, because the server does not list its prices\n"
        text += f"cost: at most ${self.most:.4f}"
        if 0 < seen < total:
            text += f"; for all requests at most ${self.most / seen * total:.2f} if the others are like these"
        return text + "\nTo learn what they do cost, run a few with --sample N.\n"


def check(
    client: ClaudeClient, method: str, shared: Mapping[str, Any], requests: Iterable[RequestLine | BadLine]
) -> Check:
    """Check requests as they are checked before they are sent, and add up what they may cost. Runs none of them."""
    found = Check()
    config, state = client._config, client._connection.state
    try:
        state.models = client.list_models() if method == "map_completions" else None
    except NotSupportedError:
        found.most = None
    known = batch_options(method, shared, **_NO_OPTIONS).known
    reader = ItemReader(method=method, shared=shared, known=known, batch_id="")
    for index, request in enumerate(requests):
        if isinstance(request, BadLine):
            found.problems.append((request.line, f"The line is no request: {request.problem}."))
            continue
        try:
            cost = most_cost(method, reader.read(index, request), config, state)
        except ClaudeAPIError as error:
            found.problems.append((request.line, error.message))
            continue
        found.good += 1
        found.most = None if found.most is None else found.most + cost
    return found


_NO_OPTIONS: Mapping[str, Any] = {
    "max_in_flight": 1,
    "ordered": False,
    "results": None,
    "budget": None,
    "deadline": None,
    "on_error": "collect",
    "progress": False,
}


@attrs.define
class Sample:
    """Requests that were run, from whose costs that of all is estimated."""

    count: int = 0
    _mean: float = 0.0
    _squares: float = 0.0

    def note(self, result: BatchResult[Any]) -> None:
        """Add a result (Welford's algorithm)."""
        self.count += 1
        before = result.cost - self._mean
        self._mean += before / self.count
        self._squares += before * (result.cost - self._mean)

    def describe(self, total: int) -> str:
        """Return the estimate for ``total`` requests, with the interval that has 95 % of the probability."""
        if self.count == 0:
            return "No request was run: there is no estimate.\n"
        estimate = f"estimate for {total} requests: ${self._mean * total:.2f}"
        if self.count < 2:
            return f"{estimate}\n"
        error = 1.96 * math.sqrt(self._squares / (self.count - 1) / self.count) * total
        return f"{estimate}, give or take ${error:.2f} (95 %), if the sample is typical\n"
