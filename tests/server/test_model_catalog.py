"""Model catalog: aliases, unsupported parameters and prices."""

import pytest

from claude_code_server.domain.model_catalog import DEFAULT_MODEL, MODELS, ModelCatalog, Tariff, UnknownModelError
from claude_code_server.domain.pricing import Need, grant_output, price_usage
from claude_code_server.domain.usage import Usage

MILLION = 1_000_000
CATALOG = ModelCatalog()
TARIFF = Tariff(CATALOG)


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
    assert CATALOG.resolve(name, default) == expected


def test_aliases_and_ids_are_unique() -> None:
    names = [name for model in MODELS for name in (model.alias, model.id)]
    assert len(names) == len(set(names))
    assert CATALOG.find(DEFAULT_MODEL) is not None


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
    assert price_usage(TARIFF.price(model), usage).cost == pytest.approx(usd)
    assert price_usage(Tariff(CATALOG, free=True).price(model), usage).cost == 0


@pytest.mark.parametrize("usage", [{"input_tokens": "9"}, {"input_tokens": -1}, {"input_tokens": 1e400}, {"a": [1]}])
def test_odd_counts_are_ignored(usage: dict[str, object]) -> None:
    assert price_usage(TARIFF.price("opus"), usage) == Usage()


def test_a_model_without_a_price_is_refused_with_the_known_names() -> None:
    with pytest.raises(UnknownModelError) as caught:
        TARIFF.price("some-local-model")
    for model in MODELS:
        assert model.id in str(caught.value)
    assert not TARIFF.is_known("some-local-model")


def test_a_local_upstream_charges_nothing_for_unknown_models_but_those_of_claude() -> None:
    local = Tariff(CATALOG, local=True)
    assert local.price("some-local-model").cost({"input_tokens": MILLION}) == 0
    for name in ("claude-3-opus", "anthropic/claude-opus-4-1", "us.anthropic.CLAUDE-x"):
        with pytest.raises(UnknownModelError):
            local.price(name)
    assert local.price("opus").cost({"input_tokens": MILLION}) == 4


def test_tasks_use_the_small_model_of_their_kind() -> None:
    assert CATALOG.small_model("claude-opus-5-5") == "claude-haiku-5-5"
    assert CATALOG.small_model("some-local-model") == "some-local-model"
    assert CATALOG.same_model("claude-opus-5-5-20260101", "claude-opus-5-5")
    assert CATALOG.same_model("local", "local")
    assert not CATALOG.same_model("claude-opus-5-5", "claude-haiku-5-5")
    assert not CATALOG.same_model("local", "other")


@pytest.mark.parametrize("cache_ttl", [None, "5m", "1h"])
@pytest.mark.parametrize("prompt", [0, 1000, 95_000, 200_000])
@pytest.mark.parametrize("left", [0.0, 0.000_01, 0.012, 0.5, 100.0])
def test_a_granted_call_never_costs_more_than_what_is_left(cache_ttl: str | None, prompt: int, left: float) -> None:
    for model in MODELS:
        for wanted in (1, 20, 5000, 128_000):
            need = Need(prompt, wanted, cache_ttl)
            for alone in (True, False):
                granted = grant_output(model.price, left, need, alone=alone)
                assert 0 <= granted <= wanted
                if granted:
                    assert need.max_cost(model.price, granted) <= left
                    written = "cache_creation_input_tokens" if cache_ttl else "input_tokens"
                    counts: dict[str, object] = {written: prompt, "output_tokens": granted}
                    if cache_ttl == "1h":
                        counts["cache_creation"] = {"ephemeral_1h_input_tokens": prompt}
                    assert model.price.cost(counts) <= left * (1 + 1e-9)


def test_calls_side_by_side_leave_each_other_something() -> None:
    price = TARIFF.price("sonnet")
    left = 1.0
    granted: list[int] = []
    need = Need(5000, 128_000)
    while (output := grant_output(price, left, need, alone=not granted)) > 0:
        granted.append(output)
        left -= need.max_cost(price, output)
    assert granted[0] == 49_000, "half of the budget, less the prompt"
    assert min(granted) >= 8000, "a call waits rather than get less than a usual reply needs"
    assert len(granted) >= 4
    assert grant_output(price, left, need, alone=True) > 0, "unless there is nothing to wait for"


def test_unsupported_parameters_are_removed_with_a_warning() -> None:
    request = {"model": "claude-opus-5-5", "temperature": 0, "top_p": 0.5, "max_tokens": 5}
    kept, warnings = CATALOG.without_unsupported_parameters(request)
    assert kept == {"model": "claude-opus-5-5", "max_tokens": 5}
    assert [("temperature" in text, "top_p" in text) for text in warnings] == [(True, False), (False, True)]
    assert request["temperature"] == 0


def test_parameters_of_unknown_models_are_kept() -> None:
    request = {"model": "some-local-model", "temperature": 0.3}
    assert CATALOG.without_unsupported_parameters(request) == (request, ())
