"""The supervisor alone, with ordinary commands."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from claude_code_server.engine import supervisor

pytestmark = pytest.mark.slow


def start(tmp_path: Path, script: str, *arguments: str, parent: int | None = None) -> subprocess.Popen[str]:
    spec = tmp_path / "spec"
    supervisor.write_spec(spec, command=["/bin/sh"], env={"ONLY": "this é"}, parent=parent or os.getpid())
    command = [sys.executable, "-I", "-S", supervisor.__file__, str(spec), "-c", script, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")


def test_streams_arguments_and_exit_code_pass_through(tmp_path: Path) -> None:
    with start(tmp_path, 'read line; echo "$ONLY|$HOME|$1|$line"; exit 7', "name", "an argument") as process:
        out, _ = process.communicate("from outside\n", timeout=10)
    assert out == "this é||an argument|from outside\n"
    assert process.returncode == 7
    assert list(tmp_path.iterdir()) == []


def test_a_child_killed_by_a_signal_has_the_exit_code_of_a_shell(tmp_path: Path) -> None:
    with start(tmp_path, "kill -KILL $$") as process:
        assert process.wait(10) == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_termination_ends_all_descendants(tmp_path: Path, number: int) -> None:
    with start(tmp_path, "(trap '' TERM; sleep 300) & echo $!; sleep 300 & echo $!; wait") as process:
        assert process.stdout is not None
        family = [psutil.Process(int(process.stdout.readline())) for _ in range(2)]
        process.send_signal(number)
        assert process.wait(10) == 0
    assert not [one for one in family if one.is_running()]


def test_killing_leaves_no_time_to_end(tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    script = f"trap 'echo >{noted}; exit' TERM; (trap '' TERM; sleep 300) & echo $!; while :; do sleep 0.01; done"
    with start(tmp_path, script) as process:
        assert process.stdout is not None
        other = psutil.Process(int(process.stdout.readline()))
        process.send_signal(supervisor.KILL)
        assert process.wait(10) == 0
    assert not other.is_running()
    assert not noted.exists()


def test_sigint_is_left_to_the_parent(tmp_path: Path) -> None:
    with start(tmp_path, "echo up; read line; exit 3") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate("go\n", timeout=10)
        assert process.returncode == 3


def test_nothing_starts_under_a_different_parent(tmp_path: Path) -> None:
    with start(tmp_path, "echo started", parent=1) as process:
        out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, "")
