"""Price files: prices of models that the catalog does not know."""

from pathlib import Path

import pytest
from support.clients.client_kinds import KEY
from support.servers.messages_endpoint import ScriptedMessages, message
from support.servers.server_process import server_process

from claude_code_client import ClaudeClient, InvalidRequestError
from claude_code_server.domain.model_catalog import MODELS, Tariff, UnknownModelError
from claude_code_server.domain.price_file import parse_price_file
from claude_code_server.process.cli import run_foreground

FILE = """
[models."claude-opus-4-1"]
alias = "opus"
input_price = 15
output_price = 75.0
context_window = 200_000
long_context_over = 100_000
long_context_input_price = 30
long_context_output_price = 90
"""


def test_models_are_added_with_usual_prices_of_cached_tokens() -> None:
    catalog = parse_price_file(FILE)
    model = catalog.find("opus")
    assert model is not None
    assert (model.id, model.max_output_tokens) == ("claude-opus-4-1", 32_000)
    assert catalog.resolve("opus") == "claude-opus-4-1"
    assert catalog.find("claude-opus-5-5") is not None, "the alias moves, the ID stays"
    million = 1_000_000
    assert model.price.cost({"output_tokens": million}) == 75
    assert model.price.cost({"cache_read_input_tokens": 100_000}) == pytest.approx(0.15)
    assert model.price.cost({"cache_creation_input_tokens": million}) == pytest.approx(37.5)
    assert len(catalog.models) == len(MODELS) + 1
    with pytest.raises(UnknownModelError, match="claude-opus-4-1"):
        Tariff(catalog).price("other")


def test_an_asterisk_prices_all_other_models() -> None:
    catalog = parse_price_file('{"models": {"*": {"input_price": 0, "output_price": 0}}}')
    assert Tariff(catalog).price("any").cost({"output_tokens": 10**6}) == 0
    assert Tariff(catalog).is_known("any")
    assert catalog.models == MODELS


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "neither TOML nor JSON"),
        ("models = 1", "models"),
        ('{"models": {}, "more": 1}', "nothing else"),
        ('{"models": {"a": 1}}', "models.a must be an object"),
        ('{"models": {"a": {"input_price": 1}}}', "models.a.output_price is missing"),
        ('{"models": {"a": {"input_price": -1, "output_price": 1}}}', "models.a.input_price"),
        ('{"models": {"a": {"input_price": NaN, "output_price": 1}}}', "models.a.input_price"),
        ('{"models": {"a": {"input_price": 1, "output_price": true}}}', "models.a.output_price"),
        ('{"models": {"a": {"input_price": 1, "output_price": 1, "price": 1}}}', "unknown field 'price'"),
        ('{"models": {"a": {"input_price": 1, "output_price": 1, "alias": 1}}}', "models.a.alias"),
        ('{"models": {"a": {"input_price": 1, "output_price": 1, "context_window": 0}}}', "models.a.context_window"),
        ('{"models": {"a": {"input_price": 1, "output_price": 1, "long_context_over": 9}}}', "belong together"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(
    text: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "prices"
    file.write_text(text)
    assert run_foreground(["--prices", str(file)]) == 1
    assert problem in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_foreground(["--prices", str(tmp_path / "none.toml")]) == 1
    assert "none.toml" in capsys.readouterr().err


@pytest.mark.slow
def test_a_server_with_a_price_file_serves_and_charges_its_models(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(FILE)
    with (
        ScriptedMessages([message("hi", input_tokens=1000, output_tokens=100)] * 2) as endpoint,
        server_process(
            tmp_path, api_keys=[KEY], upstream=endpoint.url, upstream_key="sk-real", options=[f"--prices={file}"]
        ) as server,
        ClaudeClient(api_key=KEY, base_url=server.base_url) as client,
    ):
        reply = client.complete("Hi", model="claude-opus-4-1")
        assert reply.usage.cost == pytest.approx(0.0225)
        assert reply.warnings == []
        listed = {model.id: model for model in client.list_models()}
        assert listed["claude-opus-4-1"].long_context_input_price == 30
        for call in (client.complete, client.execute_task):
            with pytest.raises(InvalidRequestError, match=r"Models with a price: .*claude-opus-4-1") as caught:
                call("Hi", model="claude-3-opus")
            assert caught.value.param == "model"
    assert len(endpoint.requests) == 1
