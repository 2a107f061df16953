"""Files in deploy/: their commands and settings are those of this version; systemd accepts the unit, where it is."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from support.code_blocks import ROOT

from claude_code_client._cli.cli import COMMANDS
from claude_code_server.process.option_sources import read_options

DEPLOY = ROOT / "deploy"
UNIT = (DEPLOY / "claude-code-server.service").read_text()


def test_the_settings_are_accepted() -> None:
    options = read_options(["--config", str(DEPLOY / "server.toml")], {}, "serve", "")
    assert options.log_json is True
    assert str(options.state_dir) == "/var/lib/claude-code", "that of StateDirectory in the unit"
    assert f"ReadWritePaths={options.workspace}" in UNIT


def test_the_units_command_is_one_of_this_version() -> None:
    [line] = re.findall(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)
    program, command, *options = shlex.split(line)
    assert Path(program).name == "claude-code-client"
    assert command in COMMANDS
    assert options == ["--config", "/etc/claude-code/server.toml"]


def test_the_images_command_is_one_of_this_version() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    entrypoint, command = (
        json.loads(found[1]) for found in re.finditer(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", text, re.MULTILINE)
    )
    assert entrypoint == ["claude-code-client", "serve"]
    assert read_options(command, {}, "serve", "").host == "0.0.0.0"
    assert all((ROOT / name).exists() for name in re.findall(r"/source/([\w.]+)", text))


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here: the unit is not verified"
)
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    # It wants to see the program, which this machine has elsewhere.
    unit = tmp_path / "claude-code-server.service"
    program = shutil.which("true") or "/bin/true"
    unit.write_text(UNIT.replace("/opt/claude-code/bin/claude-code-client", program))
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, [line for line in result.stderr.splitlines() if unit.name in line]) == (0, [])
