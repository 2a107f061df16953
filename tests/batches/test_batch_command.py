"""Command ``claude-code-client batch``: lines in, lines out, and how it goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.clients.client_kinds import KEY
from support.servers import raw_http, responses
from support.servers.completion_server import CompletionServer, completion_server
from support.servers.server_process import server_process

from claude_code_client._cli import cli

PRICES = {"id": "claude-x", "alias": "haiku", "input_price": 1.0, "output_price": 10.0, "context_window": 200_000}
PRICES |= {"max_output_tokens": 1000, "default": True}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_API_KEY", KEY)


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def batch(server: CompletionServer, path: Path, *options: str) -> int:
    return cli.main(["batch", str(path), "--base-url", server.base_url, "--quiet", *options])


def results(path: Path) -> dict[str, dict[str, Any]]:
    return {line["custom_id"]: line for line in map(json.loads, path.read_text().splitlines())}


def test_lines_of_both_formats_are_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "one"}]}]
    path = write(
        tmp_path / "in.jsonl",
        {
            "custom_id": "a",
            "params": {"model": "haiku", "max_tokens": 5, "messages": messages, "stop_sequences": ["x"]},
        },
        {
            "custom_id": "b",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"messages": [{"role": "user", "content": "two"}], "max_completion_tokens": 5},
        },
        {"custom_id": "c", "prompt": "three"},
        "four",
    )
    with completion_server(cost=lambda prompt: 0.5) as server:
        assert batch(server, path) == 0
    assert server.runs == {"one": 1, "two": 1, "three": 1, "four": 1}
    found = results(tmp_path / "in.results.jsonl")
    assert {name: line["result"]["response"]["content"] for name, line in found.items()} == {
        "a": "one",
        "b": "two",
        "c": "three",
        "4": "four",
    }
    assert {line["result"]["type"] for line in found.values()} == {"succeeded"}
    assert sorted((line["line"], line["cost"]) for line in found.values()) == [(1, 0.5), (2, 0.5), (3, 0.5), (4, 0.5)]
    assert (tmp_path / "in.results.jsonl").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "in.results.jsonl.state").exists()
    assert "4 of 4 requests have succeeded, for $2.0000" in capsys.readouterr().err


def test_bad_lines_are_reported_by_number_and_lose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(
        '{"custom_id": "a", "prompt": "one"}\n\n{"custom_id": \n{"custom_id": "a", "prompt": "again"}\n'
        '{"custom_id": "d", "prompt": "x", "colour": "red"}\n[1]\n{"custom_id": 5, "prompt": "x"}\n'
        '{"custom_id": "e", "params": "x"}\n{"custom_id": "z", "prompt": "two"}\n'
    )
    with completion_server() as server:
        assert batch(server, path) == 3
        shown = capsys.readouterr().err
        lines = [json.loads(line) for line in (tmp_path / "in.results.jsonl").read_text().splitlines()]
        kinds = {line["line"]: line["result"]["type"] for line in lines}
        assert kinds == {**dict.fromkeys((3, 4, 5, 6, 7, 8), "errored"), 1: "succeeded", 9: "succeeded"}
        assert [number for number in range(1, 10) if f"line {number}: " in shown] == [3, 4, 5, 6, 7, 8]
        assert "'colour'" in shown
        # Mended, the bad lines are run, and only they.
        path.write_text(path.read_text().replace(', "colour": "red"', "").replace("[1]", '"six"'))
        assert batch(server, path, "--resume") == 3
    assert server.runs == {"one": 1, "two": 1, "x": 1, "six": 1}


def test_resume_runs_what_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = write(tmp_path / "in.jsonl", *(f"p{number}" for number in range(6))), tmp_path / "o.jsonl"
    refused = raw_http.response(503, responses.error("overloaded_error", "busy"), x_should_retry="false")

    def script(prompt: str, number: int) -> Any:
        return refused if prompt == "p3" and number == 1 else None

    with completion_server(script=script, prices=PRICES) as server:
        limits = ("--budget", "5.5", "--deadline", "60.0", "--max-in-flight", "4")
        assert batch(server, path, "--out", str(out), *limits) == 3
        shown = capsys.readouterr().err
        assert "line 4: " in shown
        assert f"--resume --out {out} --base-url {server.base_url} {' '.join(limits)}" in shown
        assert results(out)["4"]["result"]["error"]["status_code"] == 503
        assert batch(server, path, "--out", str(out)) == 2  # what is there is not overwritten
        assert batch(server, path, "--out", str(out), "--resume") == 0
        assert batch(server, path, "--out", str(out), "--resume") == 0
        assert "Nothing is missing" in capsys.readouterr().err
    assert set(server.runs.values()) == {1}
    assert {line["result"]["type"] for line in results(out).values()} == {"succeeded"}


def test_resume_of_a_complete_batch_checks_that_it_is_the_same_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = write(tmp_path / "in.jsonl", "one", {"custom_id": "b", "prompt": "two"}), tmp_path / "in.results.jsonl"
    with completion_server() as server:
        assert batch(server, path) == 0
        complete = out.read_bytes()
        for lines, options, problem in (
            (["one", {"custom_id": "b", "prompt": "three"}], [], "is the result of another request"),
            (["one", {"custom_id": "c", "prompt": "two"}], [], "is the result of another request"),
            (["one"], [], "is the result of another request"),
            (["one", {"custom_id": "b", "prompt": "two"}, "three"], [], "has no result of line 3"),
            (["one", {"custom_id": "b", "prompt": "two"}], ["--max-tokens", "5"], "or of other options"),
        ):
            write(path, *lines)
            assert batch(server, path, "--resume", *options) == 1
            assert problem in (shown := capsys.readouterr().err), shown
        write(path, "one", {"custom_id": "b", "prompt": "two"})
        for damaged, problem in (
            (complete[:-5], "is no result"),
            (complete.replace(b"succeeded", b"errored"), "no success"),
        ):
            out.write_bytes(damaged)
            assert batch(server, path, "--resume") == 1
            assert problem in (shown := capsys.readouterr().err), shown
        out.write_bytes(complete)
        assert batch(server, path, "--resume") == 0
    assert server.runs == {"one": 1, "two": 1}
    assert out.read_bytes() == complete


def test_dry_run_checks_all_lines_and_runs_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "in.jsonl", *[{"prompt": "x" * 30, "max_tokens": 100}] * 9, {"max_tokens": 5})
    with completion_server(prices=PRICES) as server:
        assert batch(server, path, "--dry-run") == 3
        found = capsys.readouterr()
        assert "line 10: " in found.err
        assert "10 of 10 requests checked: 9 good, 1 bad" in found.out
        assert "cost: at most $0.0" in found.out
        assert batch(server, path, "--dry-run", "--sample", "4") == 0
        assert "4 of 10 requests checked: 4 good, 0 bad" in (shown := capsys.readouterr().out)
        assert "for all requests at most $0.0" in shown
    assert not server.runs
    assert [each.name for each in tmp_path.iterdir()] == ["in.jsonl"]


def test_sample_estimates_the_cost_and_resume_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "in.jsonl", *(f"p{number}" for number in range(40)))
    with completion_server(cost=lambda prompt: 0.1 if int(prompt[1:]) % 2 else 0.3) as server:
        assert batch(server, path, "--sample", "10") == 0
        assert len(server.runs) == 10
        assert "estimate for 40 requests: $8.00, give or take $2.61" in capsys.readouterr().out
        assert batch(server, path, "--resume") == 0
    assert len(server.runs) == 40
    assert set(server.runs.values()) == {1}


def test_budget_and_wrong_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "in.jsonl", *[{"prompt": "x", "max_tokens": 1000}] * 3)
    with completion_server(prices=PRICES, cost=lambda prompt: 0.01) as server:
        assert batch(server, path, "--budget", "0.015", "--max-in-flight", "1") == 3
        assert "budget" in capsys.readouterr().err
        for options in (["--sample", "0"], ["--budget", "nan"], ["--max-cost", "1"], ["--tasks", "--max-tokens", "3"]):
            assert batch(server, path, *options) == 2
    assert cli.main(["batch", str(tmp_path / "nothing.jsonl")]) == 2
    assert server.runs.total() == 1


def test_a_batch_that_cannot_begin_exits_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CLAUDE_API_KEY")
    assert cli.main(["batch", str(write(tmp_path / "in.jsonl", "x"))]) == 1
    assert "CLAUDE_API_KEY" in capsys.readouterr().err


@pytest.mark.slow
def test_interrupt_says_how_to_go_on(tmp_path: Path) -> None:
    path, out = write(tmp_path / "in.jsonl", *(f"p{number}" for number in range(60))), tmp_path / "o.jsonl"
    with completion_server(latency=lambda in_flight: 0.1) as server:
        command = [sys.executable, "-m", "claude_code_client", "batch", str(path), "--out", str(out)]
        command += ["--base-url", server.base_url, "--max-in-flight", "2"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        part = tmp_path / "o.jsonl.part"
        while not (part.exists() and part.stat().st_size):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=30)
        assert process.returncode == 130, shown
        assert f"claude-code-client batch {path} --resume --out {out} --base-url {server.base_url}" in shown
        assert "Traceback" not in shown
        done = server.runs.total()
        assert 0 < done < 60
        assert batch(server, path, "--out", str(out), "--resume") == 0
    assert len(results(out)) == len(server.runs) == 60
    assert set(server.runs.values()) == {1}


@pytest.mark.slow
def test_tasks(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    path = write(tmp_path / "in.jsonl", {"custom_id": "t", "params": {"description": "List Markdown files"}})
    with server_process(tmp_path / "work", api_keys=[KEY]) as server:
        command = ["batch", str(path), "--tasks", "--allow-tools", "Glob", "--base-url", server.base_url, "--quiet"]
        assert cli.main([*command, "--dry-run"]) == 0
        assert cli.main(command) == 0
    line = results(tmp_path / "in.results.jsonl")["t"]
    assert line["result"]["type"] == "succeeded"
    assert line["result"]["response"]["status"] == "completed"
    assert "summary" in line["result"]["response"]["result"]
