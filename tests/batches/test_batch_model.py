"""Model of a large batch over a day, from which a table and a figure of the documentation are made."""

from __future__ import annotations

import json

import pytest

import batch_model
from batch_model import DAY, MILLION, Load, capacities, simulate

QUIET = {"repeated": 0.0, "lost_workers": 0, "restarts": 0}
CPU = {"cpu_alone": 0.001, "cpu_coordinator": 0.0005, "cpu_worker": 0.001}


def test_scarcest_resource_decides() -> None:
    load = Load(requests_per_minute=1000, in_flight=64, latency=2, **CPU, **QUIET)
    assert capacities(load) == {"the service's limit": 1000, "calls in flight": 1920, "the processor": 60_000}
    outcome = simulate(load)
    assert outcome.scarce == "the service's limit"
    assert outcome.minutes == pytest.approx(MILLION / 1000)
    assert outcome.requests == pytest.approx(MILLION)


def test_workers_help_if_the_processor_is_scarce() -> None:
    one = Load(requests_per_minute=1e6, in_flight=10_000, **CPU, **QUIET)
    four = Load(requests_per_minute=1e6, in_flight=10_000, workers=4, **CPU, **QUIET)
    assert simulate(one).scarce == "the processor"
    assert simulate(four).scarce == "the coordinator's processor"
    assert simulate(one).minutes == pytest.approx(2 * simulate(four).minutes)


def test_failures_cost_requests_and_time_but_no_items() -> None:
    calm = simulate(Load(requests_per_minute=1000, workers=4, **CPU, **QUIET))
    troubled = simulate(Load(requests_per_minute=1000, workers=4, **CPU))
    assert troubled.items == calm.items == MILLION
    assert troubled.requests > 1.03 * MILLION
    assert calm.minutes * 1.03 < troubled.minutes < calm.minutes * 1.04 + 4


def test_day_ends() -> None:
    outcome = simulate(Load(requests_per_minute=100, **CPU, **QUIET))
    assert outcome.minutes == DAY
    assert outcome.items == pytest.approx(144_000)


def test_table_and_figure_are_those_of_the_measurement() -> None:
    measured = json.loads(batch_model.MEASURED.read_text(encoding="utf-8"))
    assert batch_model.table(batch_model.scenarios(measured)) in batch_model.PAGE.read_text(encoding="utf-8")
    assert batch_model.figure(measured) == batch_model.FIGURE.read_text(encoding="utf-8")
