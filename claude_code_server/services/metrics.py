"""Metrics of one server, counted in plain numbers: every request passes here. For use from the event loop alone."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Final

import attrs

from ..domain.model_catalog import ModelCatalog
from ..domain.usage import NO_USAGE, Usage

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the histogram of response times, in seconds."""
_OTHER_MODEL: Final = "other"


@attrs.define
class RouteMetrics:
    """Requests of one route and method."""

    statuses: Counter[int] = attrs.field(factory=Counter)
    """Number of responses, by status."""
    buckets: list[int] = attrs.field(factory=lambda: [0] * (len(BUCKETS) + 1))
    """Number of responses, by the first of BUCKETS that their time does not exceed; the last for all others."""
    seconds: float = 0.0
    """Sum of the times."""


@attrs.define
class Metrics:
    """Counts since the start of the server. Labels come from the contract and the catalog, never from a client."""

    catalog: ModelCatalog = attrs.field(factory=ModelCatalog)
    routes: dict[tuple[str, str], RouteMetrics] = attrs.field(factory=dict)
    """By the path's template and the method."""
    in_progress: int = 0
    tasks_ended: Counter[str] = attrs.field(factory=Counter)
    """By status."""
    usage: dict[str, Usage] = attrs.field(factory=dict)
    """Usage of tasks and completions, by model."""

    def add_response(self, template: str, method: str, status: int, seconds: float) -> None:
        """Count a response, and the time until it started."""
        route = self.routes.get((template, method))
        if route is None:
            route = self.routes[template, method] = RouteMetrics()
        route.statuses[status] += 1
        route.buckets[bisect_left(BUCKETS, seconds)] += 1
        route.seconds += seconds

    def add_usage(self, model: str, usage: Usage) -> None:
        """Count the usage of a completion or task that has ended."""
        name = self.model_label(model)
        before = self.usage.get(name, NO_USAGE)
        self.usage[name] = Usage(
            before.input_tokens + usage.input_tokens,
            before.output_tokens + usage.output_tokens,
            before.cost + usage.cost,
        )

    def model_label(self, model: str) -> str:
        """Return the ID of a model of the catalog, and one label for all others.

        Where other models are free, requests may name any: each name would be a series for ever.
        """
        found = self.catalog.find(model)
        return _OTHER_MODEL if found is None or found is self.catalog.any_other else found.id

    def add_task(self, status: str, model: str, usage: Usage) -> None:
        """Count a task that has ended."""
        self.tasks_ended[status] += 1
        self.add_usage(model, usage)
