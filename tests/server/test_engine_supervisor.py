"""The supervisor alone, with ordinary commands."""

import json
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


# A process that adopts orphans. Each round kills a program, whose argument is a time, around which it starts others.
ADOPTING = """
import json, os, random, signal, subprocess, sys, time
import psutil
from claude_code_server.engine import supervisor
from claude_code_server.runtime.process_control import adopt_orphans

adopt_orphans()
folder, program, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
random.seed(1)
seen = []
for number in range(rounds):
    spec = f"{folder}/spec"
    command = [sys.executable, "-I", "-S", "-c", program]
    supervisor.write_spec(spec, command=command, env={}, parent=os.getpid(), adopts=True)
    when = time.monotonic() + 0.06
    words = [sys.executable, "-I", "-S", supervisor.__file__, spec, str(when), folder]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    child = int(process.stdout.readline())
    time.sleep(max(0, when - time.monotonic() + random.uniform(-0.002, 0.004)))
    process.send_signal(supervisor.KILL)
    code = process.wait(20)
    stopped = supervisor.is_stopped(child)
    alive = [
        one.pid for one in psutil.process_iter(["cmdline"])
        if folder in (one.info["cmdline"] or []) and one.pid != os.getpid() and not supervisor.is_stopped(one.pid)
    ]
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    try:
        end = os.waitpid(child, 0)[1]
    except ChildProcessError:
        end = None
    seen.append([code, stopped, end, len(alive)])
print(json.dumps(seen))
"""
ALONE = "import os, time; print(os.getpid(), flush=True); held = b'x' * 50_000_000; time.sleep(300)"
WITH_ANOTHER = """
import os, sys, time
if not os.fork():
    os.setsid()
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", "import time; time.sleep(300)", sys.argv[2]])
print(os.getpid(), flush=True)
time.sleep(300)
"""
STARTING = """
import _thread, os, sys, time
def start():
    time.sleep(max(0, float(sys.argv[1]) - time.monotonic()))
    while True:
        if not os.fork():
            for _ in range(2):
                if os.fork():
                    os._exit(0)
                os.setsid()
            time.sleep(300)
        time.sleep(0.0005)
for _ in range(3):
    _thread.start_new_thread(start, ())
print(os.getpid(), flush=True)
time.sleep(300)
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")


def kill_each(tmp_path: Path, program: str, rounds: int) -> list[list[int | bool | None]]:
    """Return of each round: exit code, whether the child is stopped, how it ended if it was adopted, others left."""
    words = [sys.executable, "-c", ADOPTING, str(tmp_path), program, str(rounds)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    found: list[list[int | bool | None]] = json.loads(done.stdout)
    return found


@linux
def test_a_parent_that_adopts_orphans_does_not_wait_for_the_memory_of_a_killed_child(tmp_path: Path) -> None:
    assert kill_each(tmp_path, ALONE, 1) == [[0, True, signal.SIGKILL, 0]]


@linux
def test_a_killed_child_is_waited_for_if_anybody_else_is_left(tmp_path: Path) -> None:
    assert kill_each(tmp_path, WITH_ANOTHER, 1) == [[0, False, None, 0]]


@linux
@pytest.mark.parametrize("rounds", [5, pytest.param(150, marks=pytest.mark.long)])
def test_a_child_that_is_killed_while_it_starts_others_leaves_none(tmp_path: Path, rounds: int) -> None:
    found = kill_each(tmp_path, STARTING, rounds)
    adopted = sum(end is not None for _, _, end, _ in found)
    print(f"{adopted} of {rounds} children were killed before they had started others")
    assert [alive for *_, alive in found] == [0] * rounds
    assert [code for code, *_ in found] == [0] * rounds


LEADERLESS = """
import ctypes, os, threading, time
def other():
    time.sleep(0.05)
    print(os.getpid(), flush=True)
    time.sleep(300)
threading.Thread(target=other, daemon=True).start()
ctypes.CDLL(None).pthread_exit(None)
"""


@linux
def test_a_process_whose_first_thread_has_ended_is_not_stopped() -> None:
    with subprocess.Popen([sys.executable, "-c", LEADERLESS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        assert not supervisor.is_stopped(pid)
        process.kill()
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert supervisor.is_stopped(pid)
    assert not supervisor.is_stopped(pid)
