"""Settings of ``serve``: flags, variables and the settings file, and what is wrong with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from claude_code_server.domain.settings import Settings
from claude_code_server.process import cli
from claude_code_server.process.bootstrap import StartError
from claude_code_server.process.option_sources import read_options, unknown_variables
from claude_code_server.process.option_types import ISOLATION, SECRET, SWITCH
from claude_code_server.process.options import FIELDS, OPTIONS


def read(*argv: str, **environment: str) -> Any:
    return read_options(argv, environment, "serve", "")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "server.toml"
    file.write_text(
        'port = 1\nhost = "file"\nmodel = "file"\nallowed-host = ["a", "b"]\nworkspace = "work"\n'
        "allow-home-workspace = true\nhead-timeout = 2\n"
    )
    return file


def test_flags_win_over_variables_and_variables_over_the_file(config: Path) -> None:
    variables = {"CLAUDE_SERVER_CONFIG": str(config), "CLAUDE_SERVER_PORT": "2", "CLAUDE_SERVER_HOST": "variable"}
    options = read("--port=3", **variables)
    assert (options.port, options.host, options.model) == (3, "variable", "file")
    assert read(**variables, CLAUDE_SERVER_MODEL=" ").model == "file", "an empty variable sets nothing"


def test_every_source_has_lists_switches_and_numbers(config: Path) -> None:
    options = read("--config", str(config))
    assert options.allowed_host == ["a", "b"]
    assert options.allow_home_workspace is True
    assert options.head_timeout == 2.0
    given = {"CLAUDE_SERVER_ALLOWED_HOST": "c, d", "CLAUDE_SERVER_ALLOW_HOME_WORKSPACE": "no"}
    options = read("--config", str(config), **given)
    assert options.allowed_host == ["c", "d"]
    assert options.allow_home_workspace is False
    options = read("--config", str(config), "--allowed-host=e", "--no-allow-home-workspace")
    assert options.allowed_host == ["e"]
    assert options.allow_home_workspace is False


def test_paths_in_the_file_are_relative_to_it(config: Path) -> None:
    assert read("--config", str(config)).workspace == config.parent / "work"
    assert read("--config", str(config), "--workspace=here").workspace == Path("here")


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("port = 8123\n\nworkspce = '.'", 3, "did you mean workspace?"),
        ("allowed_host = ['x']", 1, "did you mean allowed-host?"),
        ("zzz = 1", 1, "zzz is not a setting: see serve --help"),
        ("\nport = '8123'", 2, "port must be a whole number from 0 to 65535, not '8123'"),
        ("port = 70000", 1, "from 0 to 65535, not 70000"),
        ("port = true", 1, "whole number"),
        ("allow-home-workspace = 1", 1, "true or false"),
        ("# a comment\nallowed-host = 'x'", 2, "must be a list"),
        ("allowed-host = [\n 'x',\n 3,\n]", 1, "not 3"),
        ("model = '''\nport = 1\n'''\nport = -1", 4, "port"),
        ("model = ''", 1, "model must be text that is not empty"),
        ("head-timeout = nan", 1, "seconds"),
        ("head-timeout = 0", 1, "seconds"),
        ("[server]\nport = 1", 1, "server is not a setting"),
        ("api-key = ['sk-secret', 3]", 1, "api-key must be text"),
        ("api-key = 'sk-secret'", 1, "api-key must be a list"),
        ("port = 1\nport = 2", 2, "Cannot overwrite a value"),
        ("port =", 1, "Invalid value"),
    ],
)
def test_a_wrong_file_is_an_error_with_its_line(tmp_path: Path, text: str, line: int, part: str) -> None:
    file = tmp_path / "server.toml"
    file.write_text(text)
    with pytest.raises(StartError) as caught:
        read("--config", str(file))
    message = str(caught.value)
    assert str(file) in message
    assert f"line {line}" in message
    assert part in message
    assert "\n" not in message
    assert "sk-secret" not in message


def test_a_missing_file_is_named() -> None:
    with pytest.raises(StartError, match=r"settings file nowhere\.toml"):
        read("--config", "nowhere.toml")


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(StartError, match="CLAUDE_SERVER_PORT must be a whole number from 0 to 65535, not 'x'"):
        read(CLAUDE_SERVER_PORT="x")
    with pytest.raises(StartError, match="CLAUDE_SERVER_ALLOW_HOME_WORKSPACE must be true or false"):
        read(CLAUDE_SERVER_ALLOW_HOME_WORKSPACE="maybe")


def test_a_wrong_flag_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read("--max-connections=0")
    assert "argument --max-connections: must be a whole number of at least 1, not '0'" in capsys.readouterr().err


def test_misspelt_variables_are_reported() -> None:
    environment = ["CLAUDE_SERVER_PRT", "CLAUDE_SERVER_PORT", "CLAUDE_SERVER_CONFIG", "CLAUDE_API_KEY"]
    [warning] = unknown_variables(environment)
    assert "CLAUDE_SERVER_PRT is not a setting" in warning
    assert "CLAUDE_SERVER_PORT" in warning


def test_every_field_arrives(tmp_path: Path) -> None:
    of_type = {SWITCH: "True", ISOLATION: "worktree", SECRET: "7" * 16}
    values = {option: of_type.get(option.type, "7") for option in FIELDS}
    flags = (option.flag if option.type is SWITCH else f"{option.flag}={value}" for option, value in values.items())
    options = read(f"--workspace={tmp_path}", *flags)
    settings = cli._build_settings(options)
    assert {option.name: str(getattr(settings, option.attribute)).removesuffix(".0") for option in FIELDS} == {
        option.name: value for option, value in values.items()
    }


def test_the_defaults_are_those_of_the_settings(tmp_path: Path) -> None:
    settings = cli._build_settings(read(f"--workspace={tmp_path}"))
    expected = Settings(workspace=tmp_path, api_keys=settings.api_keys, allowed_hosts=settings.allowed_hosts)
    assert settings == expected


def test_every_option_has_a_help_and_a_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read("--help")
    text = capsys.readouterr().out
    assert all(option.flag in text for option in OPTIONS)
    assert len({option.variable for option in OPTIONS}) == len(OPTIONS)


@pytest.mark.slow
def test_the_help_imports_none_of_the_servers_packages() -> None:
    program = (
        "import sys\nfrom claude_code_client._cli.cli import main\nmain(['serve', '--help'])\n"
        "heavy = {'starlette', 'uvicorn', 'sqlite3', 'asyncio', 'httpx', 'prometheus_client', 'jsonschema'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
