"""`serve` within this process: what prevents a start, and what it prints."""

import socket
import sys
from pathlib import Path

import pytest

from claude_code_server.domain.settings import Settings
from claude_code_server.process import bootstrap as starting
from claude_code_server.process import cli
from claude_code_server.process.option_sources import read_options

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["--workspace", "nowhere"], 1, "is not a directory"),
        (["--workspace", "/"], 1, "--allow-home-workspace"),
        (["--state-dir", "state"], 1, "--state-dir"),
        (["--upstream", "anthropic"], 1, "ANTHROPIC_API_KEY"),
        (["--upstream", "ftp://x"], 1, "http"),
        (["--api-key", ""], 2, "empty"),
        (["--port", "70000"], 2, "70000"),
        (["--host", "nowhere.invalid"], 1, "nowhere.invalid"),
        (["--state-dir", "/dev/null/x"], 1, "/dev/null/x"),
        (["--tls-cert", "nowhere.pem"], 1, "nowhere.pem"),
        (["--tls-key", "key.pem"], 1, "--tls-cert"),
        (["--tls-cert", __file__], 1, "PEM"),
        (["--sandbox", "--workspace", "/", "--allow-home-workspace"], 1, "a sandbox around the workspace /"),
        (["--allow-host", "example.com"], 1, "add --sandbox"),
        (["--allow-read", "/usr", "--no-sandbox", "--host", "0.0.0.0"], 1, "add --sandbox"),
        (["--sandbox", "--allow-host", "http://example.com/"], 2, "--allow-host"),
        (["--sandbox", "--allow-read", "/nowhere"], 1, "--allow-read"),
        (["--port", "x"], 2, "--port"),
        (["--nonsense"], 2, "--nonsense"),
    ],
)
def test_errors_that_prevent_a_start_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], code: int, part: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    given = arguments if "--port" in arguments else ["--port", "0", *arguments]
    assert cli.run_foreground(given) == code
    captured = capsys.readouterr()
    last = captured.err.splitlines()[-1]
    assert last.startswith("claude-code-client serve: ")
    assert part in last
    assert "Traceback" not in captured.err
    if code == 1:
        assert len(captured.err.splitlines()) == 1


def test_a_port_in_use_is_reported_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert cli.run_foreground(["--port", port, "--workspace", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error == f"claude-code-client serve: port {port} on 127.0.0.1 is in use; choose another with --port\n"


def test_an_address_beyond_loopback_causes_a_warning(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path, api_keys=("k",))
    for host, warned in (("0.0.0.0", True), ("192.0.2.1", True), ("127.0.0.1", False), ("::1", False)):
        assert ("WARNING" in cli._banner(settings, "http://x/v1", host)) is warned


@pytest.mark.parametrize(
    ("arguments", "sandbox"),
    [
        ([], False),
        (["--sandbox"], True),
        (["--host", "::1"], False),
        (["--host", "0.0.0.0"], True),
        (["--host", "0.0.0.0", "--no-sandbox"], False),
    ],
)
def test_the_sandbox_is_the_default_beyond_loopback(tmp_path: Path, arguments: list[str], sandbox: bool) -> None:
    options = read_options(["--workspace", str(tmp_path), *arguments], {}, "serve", "")
    settings = cli._build_settings(options)
    assert settings.sandbox is sandbox
    banner = cli._banner(settings, "http://x/v1", options.host)
    assert (
        "on; Bash reaches the workspace and no network" if sandbox else "off; Bash reaches whatever you can"
    ) in banner
    assert ("run commands in the sandbox" in banner) is (sandbox and "0.0.0.0" in arguments)


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")
@pytest.mark.parametrize(
    ("fake", "part"), [(None, "which is not installed"), ("echo No namespaces. >&2; exit 1", "No namespaces.")]
)
def test_a_sandbox_that_cannot_run_prevents_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fake: str | None, part: str
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    if fake is not None:
        (folder / "bwrap").write_text(f"#!/bin/sh\n{fake}\n")
        (folder / "bwrap").chmod(0o700)
    monkeypatch.setenv("PATH", str(folder))
    (tmp_path / "workspace").mkdir()
    arguments = ["--port=0", "--sandbox", f"--workspace={tmp_path}/workspace", f"--state-dir={tmp_path}/state"]
    assert cli.run_foreground(arguments) == 1
    error = capsys.readouterr().err
    assert part in error
    assert "install bubblewrap" in error
    assert "--no-sandbox" in error
    assert error.count("\n") == 1


def test_responses_do_not_wait_for_acknowledgements() -> None:
    with starting.bind("127.0.0.1", 0) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
