"""Several upstreams by model: which one a request reaches, with which key and at which price."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.servers.embedded_server import Running, serving
from support.servers.messages_endpoint import ScriptedMessages, message
from support.servers.scripted_engine import DONE, ScriptedEngine

from claude_code_server.domain.settings import Settings
from claude_code_server.domain.upstream_rules import UpstreamRule, parse_rules
from claude_code_server.process import cli
from claude_code_server.process.option_sources import read_options
from claude_code_server.upstream.factory import open_upstreams


class Upstreams:
    """A server with an upstream for Sonnet, one for local models, and none for others."""

    def __init__(self, stack: ExitStack, workspace: Path) -> None:
        self.engine = ScriptedEngine(DONE)
        self.sonnet, self.local = (
            stack.enter_context(ScriptedMessages(lambda body, name=name: message(name)))  # type: ignore[misc]
            for name in ("sonnet", "local")
        )
        rules = parse_rules(
            [f"sonnet={self.sonnet.url}", f"local-*={self.local.url}/a/prefix"], ["sonnet=key-1", "local-*=key-2"]
        )
        self.server: Running = stack.enter_context(
            serving(workspace, self.engine, upstream="several", upstream_rules=rules, upstream_key="sk-ant-key")
        )


@pytest.fixture(scope="module")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstreams]:
    with ExitStack() as stack:
        yield Upstreams(stack, tmp_path_factory.mktemp("workspace"))


@pytest.mark.parametrize("model", ["sonnet", "claude-sonnet-5-5", "claude-sonnet-5-5-20260115", None])
def test_all_names_of_a_model_reach_its_upstream(upstreams: Upstreams, model: str | None) -> None:
    body = {"messages": [{"role": "user", "content": "a"}], **({"model": model} if model else {})}
    with upstreams.server.client() as client:
        assert client.post("/chat/completions", json=body).json()["content"][0]["text"] == "sonnet"
    request = upstreams.sonnet.requests[-1]
    assert request.headers["x-api-key"] == "key-1"
    assert request.body["model"].startswith("claude-sonnet-5-5")


def test_a_pattern_keeps_the_model_and_its_upstream_may_have_a_path(upstreams: Upstreams) -> None:
    with upstreams.server.client() as client:
        body = {"messages": [{"role": "user", "content": "a"}], "model": "local-llama"}
        reply = client.post("/chat/completions", json=body).json()
        assert (reply["content"][0]["text"], reply["usage"]["cost"]) == ("local", 0), (
            "unknown models of this machine are free"
        )
        streamed = client.post("/chat/completions/stream", json=body)
        assert '"text":"local"' in streamed.text
    request = upstreams.local.requests[-1]
    assert request.headers["x-api-key"] == "key-2"
    assert request.body["model"] == "local-llama"
    assert request.path.split("?")[0] == "/a/prefix/v1/messages"


@pytest.mark.parametrize("model", ["haiku", "other", "LOCAL-llama", "x-local-y"])
def test_a_model_without_an_upstream_is_refused_before_anything_runs(upstreams: Upstreams, model: str) -> None:
    before = len(upstreams.engine.specs), len(upstreams.sonnet.requests), len(upstreams.local.requests)
    with upstreams.server.client() as client:
        turns = {"messages": [{"role": "user", "content": "a"}], "model": model}
        for response in (
            client.post("/chat/completions", json=turns),
            client.post("/task", json={"description": "a", "model": model}),
        ):
            assert response.status_code == 400
            assert response.json()["error"]["param"] == "model"
            assert "No upstream of this server serves the model" in response.json()["error"]["message"]
    assert (len(upstreams.engine.specs), len(upstreams.sonnet.requests), len(upstreams.local.requests)) == before


def test_models_and_health_say_what_is_served(upstreams: Upstreams) -> None:
    with upstreams.server.client() as client:
        assert [model["alias"] for model in client.get("/models").json()["data"]] == ["sonnet"]
        assert client.get("/health").json()["upstream"] == "127.0.0.1, 127.0.0.1"


def test_the_small_model_is_one_that_is_served(upstreams: Upstreams) -> None:
    tariff = upstreams.server.services.tariff
    assert tariff.small_model("claude-sonnet-5-5") == "claude-sonnet-5-5", "Haiku has no upstream"
    assert tariff.small_model("local-llama") == "local-llama"


async def _keys(settings: Settings) -> list[str | None]:
    router = open_upstreams(settings)
    found = [getattr(router.find(name), "_auth", None) for name in ("sonnet", "local-a", "other")]  # type: ignore[attr-defined]
    await router.aclose()
    return [auth and auth.redact("sk-ant-key k") for auth in found]


def test_each_key_goes_to_one_upstream(tmp_path: Path) -> None:
    rules = parse_rules(["http://127.0.0.1:1", "sonnet=anthropic", "local-*=http://127.0.0.1:2"], ["*=k"])
    settings = Settings(workspace=tmp_path, api_keys=("x",), upstream_rules=rules, upstream_key="sk-ant-key")
    assert asyncio.run(_keys(settings)) == ["[key] k", None, "s[key]-ant-[key]ey [key]"]


@pytest.mark.parametrize(
    ("upstreams", "keys", "part"),
    [
        (["a=offline", "a=anthropic"], [], "two upstreams for the models a"),
        (["offline", "*=anthropic"], [], "two upstreams"),
        (["a b=offline"], [], "name of a model"),
        (["=offline"], [], "name of a model"),
        (["a=offline"], ["b=secret"], "no upstream, for the models b"),
        (["a=offline"], ["secret"], "PATTERN=KEY"),
        (["a=offline"], ["a="], "PATTERN=KEY"),
    ],
)
def test_contradictory_rules_are_refused(upstreams: list[str], keys: list[str], part: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_rules(upstreams, keys)
    assert part in str(caught.value)
    assert "secret" not in str(caught.value)


def test_rules_for_any_model_come_last() -> None:
    rules = parse_rules(["http://a/?b=c", "local-*=http://b/?c=d"], [])
    assert rules == (UpstreamRule("local-*", "http://b/?c=d"), UpstreamRule("*", "http://a/?b=c"))
    assert "secret" not in repr(UpstreamRule("a", "b", "secret"))


def test_the_command_line_has_rules_and_keys(tmp_path: Path) -> None:
    argv = ["--upstream=sonnet=anthropic", "--upstream=local-*=http://127.0.0.1:1", f"--workspace={tmp_path}"]
    settings = cli._build_settings(read_options(argv, {"CLAUDE_SERVER_UPSTREAM_KEY": "local-*=secret"}, "x", ""))
    assert settings.upstream == "sonnet=anthropic, local-*=http://127.0.0.1:1"
    assert [rule.key for rule in settings.upstream_rules] == [None, "secret"]
    assert "secret" not in repr(settings)
    settings = cli._build_settings(read_options(["--upstream=offline", f"--workspace={tmp_path}"], {}, "x", ""))
    assert (settings.upstream, settings.upstream_rules) == ("offline", ())


def test_an_unusable_upstream_is_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--port=0", f"--workspace={tmp_path}", "--upstream=offline", "--upstream=x=ftp://y"]
    assert cli.run_foreground(argv) == 1
    assert "upstream of the models x: the URL" in capsys.readouterr().err
