"""Model catalog: aliases, unsupported parameters and prices."""

import pytest

from claude_code_server.domain.model_catalog import (
    DEFAULT_MODEL,
    MODELS,
    find_model,
    resolve_model,
    without_unsupported_parameters,
)
from claude_code_server.domain.pricing import PricedUsage, affordable_output, price_usage
from claude_code_server.domain.usage import Usage

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("name", "default", "expected"),
    [
        ("haiku", "opus", "claude-haiku-5-5"),
        ("claude-opus-5-5", "haiku", "claude-opus-5-5"),
        ("some-local-model", "haiku", "some-local-model"),
        (None, "haiku", "claude-haiku-5-5"),
        (None, "some-local-model", "some-local-model"),
        ("", "sonnet", "claude-sonnet-5-5"),
    ],
)
def test_aliases_resolve_to_ids(name: str | None, default: str, expected: str) -> None:
    assert resolve_model(name, default) == expected


def test_aliases_and_ids_are_unique() -> None:
    names = [name for model in MODELS for name in (model.alias, model.id)]
    assert len(names) == len(set(names))
    assert find_model(DEFAULT_MODEL) is not None


# Claude Code 2.1.330 itself reports these amounts for the same usage.
@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        ("claude-haiku-5-5", {"input_tokens": 100_000, "output_tokens": 1_000}, 0.0105),
        ("claude-haiku-5-5", {"input_tokens": 100_001, "output_tokens": 1_000}, 0.0525005),
        ("claude-haiku-5-5", {"input_tokens": 60_000, "cache_read_input_tokens": 60_000}, 0.033),
        ("claude-haiku-5-5", {"cache_read_input_tokens": MILLION}, 0.05),
        ("claude-haiku-5-5", {"cache_creation_input_tokens": 90_000}, 0.01125),
        (
            "claude-haiku-5-5",
            {"cache_creation_input_tokens": 90_000, "cache_creation": {"ephemeral_1h_input_tokens": 90_000}},
            0.018,
        ),
        ("claude-sonnet-5-5", {"input_tokens": MILLION, "output_tokens": 100_000}, 3.0),
        ("claude-sonnet-5-5", {"cache_creation_input_tokens": MILLION}, 2.5),
        ("claude-opus-5-5", {"input_tokens": MILLION, "output_tokens": 100_000}, 6.0),
        ("claude-opus-5-5", {"cache_read_input_tokens": MILLION}, 0.2),
        ("claude-opus-5-5-20260101", {"input_tokens": MILLION}, 4.0),
        ("claude-haiku-5-5", {"server_tool_use": {"web_search_requests": 3}}, 0.03),
        ("claude-haiku-5-5", {"input_tokens": None, "cache_creation": None}, 0.0),
    ],
)
def test_cost(model: str, usage: dict[str, object], usd: float) -> None:
    priced = price_usage(model, usage)
    assert priced.usage.cost == pytest.approx(usd)
    assert priced.price_known
    assert price_usage(model, usage, free=True).usage.cost == 0


def test_a_model_without_a_list_price_costs_nothing() -> None:
    assert price_usage("some-local-model", {"input_tokens": MILLION}) == PricedUsage(Usage(MILLION), price_known=False)
    assert affordable_output("some-local-model", 1.0, 0) is None


def test_affordable_output_never_exceeds_the_budget() -> None:
    for model in MODELS:
        for prompt in (0, 200_000):
            tokens = affordable_output(model.id, 0.0123, prompt)
            assert tokens is not None
            price = model.price_for(prompt).output / MILLION
            assert tokens * price <= 0.0123 < (tokens + 1) * price
    assert affordable_output("claude-opus-5-5", -1.0, 0) == 0


def test_unsupported_parameters_are_removed_with_a_warning() -> None:
    request = {"model": "claude-opus-5-5", "temperature": 0, "top_p": 0.5, "max_tokens": 5}
    kept, warnings = without_unsupported_parameters(request)
    assert kept == {"model": "claude-opus-5-5", "max_tokens": 5}
    assert [("temperature" in text, "top_p" in text) for text in warnings] == [(True, False), (False, True)]
    assert request["temperature"] == 0


def test_parameters_of_unknown_models_are_kept() -> None:
    request = {"model": "some-local-model", "temperature": 0.3}
    assert without_unsupported_parameters(request) == (request, ())
