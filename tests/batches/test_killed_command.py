"""Command ``claude-code-client batch``, killed half-way: ``--resume`` runs what is missing, and nothing twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from support.clients.client_kinds import KEY
from support.fault_proxy.exchange import Exchange
from support.fault_proxy.faults import CutResponse, Fault, error_response
from support.fault_proxy.proxy import fault_proxy
from support.servers.completion_server import completion_server
from support.servers.server_process import server_process

from claude_code_client._cli import cli

pytestmark = pytest.mark.slow

FAULTS: list[Fault] = [CutResponse(10, "rst"), CutResponse(0, "fin"), error_response(503)]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_API_KEY", KEY)


def write(path: Path, count: int) -> None:
    lines = ({"custom_id": f"T-{number}", "params": {"prompt": f"Say {number}"}} for number in range(count))
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def kill_half_way(base_url: str, path: Path, count: int, in_flight: int) -> int:
    """Run the command, kill it when half of the results are there, and return how many there are."""
    command = [sys.executable, "-m", "claude_code_client", "batch", str(path), "--base-url", base_url, "--quiet"]
    part = path.with_name(f"{path.stem}.results.jsonl.part")
    with subprocess.Popen([*command, "--max-in-flight", str(in_flight)]) as process:
        while not part.exists() or part.read_bytes().count(b"\n") < count // 2:
            assert process.poll() is None, "the batch was over before it could be killed"
            time.sleep(0.02)  # its output is a file
        process.kill()
    return part.read_bytes().count(b"\n")


def resume(base_url: str, path: Path, in_flight: int) -> int:
    command = ["batch", str(path), "--base-url", base_url, "--quiet", "--max-in-flight", str(in_flight), "--resume"]
    return cli.main(command)


def check(path: Path, count: int, *, echoes: bool) -> None:
    """Every line has one result, and its own if the server ``echoes`` prompts, as the offline model does not."""
    lines = [json.loads(line) for line in path.with_name(f"{path.stem}.results.jsonl").read_bytes().splitlines()]
    assert Counter((line["custom_id"], line["line"]) for line in lines) == Counter(
        (f"T-{number}", number + 1) for number in range(count)
    )
    assert {line["result"]["type"] for line in lines} == {"succeeded"}
    assert len({line["result"]["response"]["id"] for line in lines}) == count
    if echoes:
        assert all(line["result"]["response"]["content"].endswith(f"Say {line['line'] - 1}") for line in lines)


def test_killed_command_goes_on_without_running_a_line_twice(tmp_path: Path) -> None:
    count, path = 200, tmp_path / "in.jsonl"
    write(path, count)
    with completion_server(latency=lambda calls: 0.02) as server:
        kill_half_way(server.base_url, path, count, 4)
        assert len(server.runs) < count
        state = tmp_path / "in.results.jsonl.state"
        with state.open("ab") as file:
            file.write(b'{"index": 12')  # as if the line that was being written had been torn
        assert resume(server.base_url, path, 16) == 0
        # What is complete stays as it is.
        assert resume(server.base_url, path, 16) == 0
    check(path, count, echoes=True)
    assert len(server.runs) == count
    assert set(server.runs.values()) == {1}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.jsonl", "in.results.jsonl"]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_thousand_lines_through_faults_and_a_kill(tmp_path: Path) -> None:
    count, path, generator = 10_000, tmp_path / "in.jsonl", random.Random(11)
    write(path, count)

    def plan(exchange: Exchange) -> Fault | None:
        return generator.choice(FAULTS) if exchange.path and generator.random() < 0.03 else None

    with server_process(tmp_path / "work", api_keys=[KEY]) as server, fault_proxy() as proxy:
        port = proxy.open(server.address, plan)
        done = kill_half_way(port.base_url, path, count, 32)
        began, runs = time.monotonic(), 1
        while (status := resume(port.base_url, path, 32)) == 3 and runs < 5:
            runs += 1  # lines whose retries were used up
        faults = sum(exchange.fault is not None for exchange in port.exchanges)
        print(f"killed after {done} results; the rest in {time.monotonic() - began:.1f} s and {runs} runs; "
              f"{faults} of {len(port.exchanges)} exchanges failed")  # fmt: skip
        [(used,)] = server.query("SELECT count(*) FROM usage")
    assert status == 0
    check(path, count, echoes=False)
    assert used == count
