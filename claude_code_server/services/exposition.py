"""Exposition of the metrics in the format of Prometheus."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from claude_code_common.version import __version__

from .metrics import BUCKETS, Metrics

if TYPE_CHECKING:
    from .container import Services

_PREFIX: Final = "claude_code_server_"


class Exposition:
    """Metrics of one server as text. The registry is its own: a program's other metrics stay out of it."""

    def __init__(self, services: Services) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_ServerCollector(services))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return the present values."""
        return generate_latest(self._registry)


class _ServerCollector(Collector):
    """Collector that reads the server's own counts when it is asked for them."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        metrics = self._services.metrics
        yield from _info()
        yield from _requests(metrics)
        yield from self._tasks(metrics)
        yield from _usage(metrics)
        yield from self._disk()

    def _tasks(self, metrics: Metrics) -> Iterator[Metric]:
        pending, running = self._services.task_runner.count_active()
        active = GaugeMetricFamily(f"{_PREFIX}tasks", "Tasks that have not ended, by status.", labels=["status"])
        active.add_metric(["pending"], pending)
        active.add_metric(["running"], running)
        yield active
        yield GaugeMetricFamily(f"{_PREFIX}queue_length", "Tasks that wait for others to end.", value=pending)
        ended = CounterMetricFamily(f"{_PREFIX}tasks_ended", "Tasks that have ended, by status.", labels=["status"])
        for status, number in metrics.tasks_ended.items():
            ended.add_metric([status], number)
        yield ended

    def _disk(self) -> Iterator[Metric]:
        store = self._services.store
        yield GaugeMetricFamily(f"{_PREFIX}store_bytes", "Size of the database's files.", value=store.size())
        usage = shutil.disk_usage(store.directory)
        disk = GaugeMetricFamily(f"{_PREFIX}disk_bytes", "File system of the state directory.", labels=["kind"])
        disk.add_metric(["free"], usage.free)
        disk.add_metric(["total"], usage.total)
        yield disk


def _info() -> Iterator[Metric]:
    info = GaugeMetricFamily(f"{_PREFIX}info", "Version of the server; always 1.", labels=["version"])
    info.add_metric([__version__], 1)
    yield info


def _requests(metrics: Metrics) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        f"{_PREFIX}requests_in_progress", "Requests and streams in progress.", value=metrics.in_progress
    )
    requests = CounterMetricFamily(
        f"{_PREFIX}requests", "Responses, by the path's template.", labels=["route", "method", "status"]
    )
    times = HistogramMetricFamily(
        f"{_PREFIX}response_start_seconds", "Time from a request to the start of its response.",
        labels=["route", "method"],
    )  # fmt: skip
    for (template, method), route in metrics.routes.items():
        for status, number in route.statuses.items():
            requests.add_metric([template, method, str(status)], number)
        total, buckets = 0, []
        for bound, number in zip((*map(str, BUCKETS), "+Inf"), route.buckets, strict=True):
            total += number
            buckets.append((bound, total))
        times.add_metric([template, method], buckets, route.seconds)
    yield requests
    yield times


def _usage(metrics: Metrics) -> Iterator[Metric]:
    tokens = CounterMetricFamily(
        f"{_PREFIX}tokens", "Tokens of completions and tasks that have ended.", labels=["model", "kind"]
    )
    cost = CounterMetricFamily(
        f"{_PREFIX}cost_dollars", "Cost of completions and tasks that have ended, in USD.", labels=["model"]
    )
    for model, usage in metrics.usage.items():
        tokens.add_metric([model, "input"], usage.input_tokens)
        tokens.add_metric([model, "output"], usage.output_tokens)
        cost.add_metric([model], usage.cost)
    yield tokens
    yield cost
