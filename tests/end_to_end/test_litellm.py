"""The recipe for models behind LiteLLM: its real proxy, in front of a scripted model."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.code_blocks import blocks
from support.processes import eventually
from support.servers.chat_completions import OUTPUT_TOKENS, PROMPT_TOKENS, ChatCompletions, chat_completions
from support.servers.embedded_server import serving

from claude_code_client import ClaudeAPIError
from claude_code_server.domain.upstream_rules import parse_rules

LITELLM = shutil.which("litellm")
STARTUP = 90
"""Seconds: it imports the clients of a hundred providers."""

pytestmark = [
    pytest.mark.skipif(LITELLM is None, reason="the command litellm is not here: its recipe is not tested"),
    pytest.mark.xdist_group("litellm"),
    pytest.mark.timeout(STARTUP + 60),
]


@pytest.fixture(scope="module")
def model() -> Iterator[ChatCompletions]:
    with chat_completions() as running:
        yield running


@pytest.fixture(scope="module")
def server(model: ChatCompletions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of an embedded server in front of LiteLLM."""
    folder = tmp_path_factory.mktemp("litellm")
    workspace = folder / "workspace"
    workspace.mkdir()
    with litellm(folder, model) as url:
        rules = parse_rules([f"local-*={url}"], ["local-*=sk-litellm"])
        with serving(workspace, api_keys=(KEY,), upstream_rules=rules) as running:
            yield running.base_url


@contextmanager
def litellm(folder: Path, model: ChatCompletions) -> Iterator[str]:
    [recipe] = [block.code for block in blocks("docs/upstreams.md") if block.language == "yaml"]
    assert "http://127.0.0.1:8000/v1" in recipe
    (folder / "litellm.yaml").write_text(recipe.replace("http://127.0.0.1:8000/v1", model.url))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert LITELLM is not None
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": "*"}
    # Prices of models come from the internet otherwise.
    environment["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    command = [LITELLM, "--config", "litellm.yaml", "--host", "127.0.0.1", "--port", str(port)]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: is_up(f"{url}/health/liveliness") or process.poll() is not None, STARTUP)
            assert process.poll() is None, (folder / "log").read_text()
            yield url
        finally:
            process.terminate()


def is_up(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_completions_and_streams(both: ClientKind, server: str, model: ChatCompletions) -> None:
    client = both.client(server, api_key=KEY)
    reply = both.call(client.complete("What is Python?", model="local-llama"))
    assert (reply.content, reply.usage.total_tokens) == ("A language.", PROMPT_TOKENS + OUTPUT_TOKENS)
    *pieces, last = both.each(client.stream_complete("What is Python?", model="local-llama"))
    assert "".join(pieces) == "A language."
    assert last.usage.output_tokens == OUTPUT_TOKENS
    assert model.requests[-1]["model"] == "llama"


def test_a_task_calls_a_tool(both: ClientKind, server: str) -> None:
    client = both.client(server, api_key=KEY)
    *events, last = both.each(client.stream_task("Say hello", model="local-llama", allow_tools=["Bash"]))
    assert [event["result"] for event in events if event["type"] == "tool_result"] == ["hello"]
    assert (last["status"], last["summary"]) == ("completed", "It printed hello.")
    assert last["usage"]["input_tokens"] == 2 * PROMPT_TOKENS


@pytest.mark.usefixtures("short_backoff")
def test_calls_are_repeated_by_the_client_alone(both: ClientKind, server: str, model: ChatCompletions) -> None:
    model.requests.clear()
    model.failing = True
    try:
        with pytest.raises(ClaudeAPIError):
            both.call(both.client(server, api_key=KEY).with_options(max_retries=1).complete("a", model="local-llama"))
    finally:
        model.failing = False
    assert len(model.requests) == 2
