"""Progress of batches: a bar in a terminal and in a notebook, a line a minute elsewhere."""

from __future__ import annotations

import io
import os
import pty
import sys
import types
from typing import Any

import pytest
from support.clients.client_kinds import KEY
from support.servers.completion_server import completion_server

from claude_code_client import BatchProgress, BatchResult, ClaudeClient
from claude_code_client._client._bulk.meter import BatchMeter
from claude_code_client._client._bulk.progress_display import bar, line


def run() -> None:
    with completion_server() as server, ClaudeClient(KEY, server.base_url) as client:
        assert len(list(client.map_completions(["a", "b", "c"], progress=True))) == 3


def test_elsewhere_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    run()
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("1 of 3 done, 0 failed, $0.0000, ")
    assert last.startswith("3 of 3 done, 0 failed, $0.0000, ")
    assert last.endswith("ETA 0:00")


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pty.openpty()
    with io.open(writer, "w") as terminal:  # noqa: UP020 (a descriptor)
        monkeypatch.setattr(sys, "stderr", terminal)
        run()
        shown = os.read(reader, 4096).decode()
    os.close(reader)
    assert f"\r\x1b[2K[{'█' * 24}] 3 of 3 done" in shown
    assert shown.endswith("\n")


def test_a_notebook_has_a_bar_that_is_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython stands for itself: it is not installed, and offers two functions here."""
    shown: list[str] = []

    class Handle:
        def update(self, data: dict[str, str], *, raw: bool) -> None:
            shown.append(data["text/plain"])

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        assert display_id
        handle = Handle()
        handle.update(data, raw=raw)
        return handle

    shell = types.SimpleNamespace(kernel=object())
    module: Any = types.ModuleType("IPython")
    module.get_ipython = lambda: shell
    module.display = types.ModuleType("IPython.display")
    module.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", module.display)
    run()
    assert "1 of 3 done" in shown[0]
    assert "3 of 3 done" in shown[-1]


def progress(**fields: Any) -> BatchProgress:
    known = {"total": 200, "done": 50, "failed": 1, "resumed": 0, "in_flight": 8, "limit": 8, "cost": 1.5}
    return BatchProgress(**{**known, "elapsed": 10.0, "rate": 0.04, **fields})


def test_line_and_bar() -> None:
    assert line(progress()) == "50 of 200 done, 1 failed, $1.5000, 0.0/s, ETA 1:02:30"
    assert line(progress(total=None, resumed=3)) == "50 done, 3 from the results file, 1 failed, $1.5000, 0.0/s"
    assert bar(progress()) == "[" + "█" * 6 + "·" * 18 + "]"
    assert bar(progress(total=None)) == "[" + "·" * 24 + "]"
    assert line(progress(rate=0.0)).endswith("0.0/s")


def test_rate_is_that_of_the_last_minute() -> None:
    meter = BatchMeter(None, 0.0)
    result: BatchResult[Any] = BatchResult(index=0, custom_id="0", item="", idempotency_key="")
    for second in range(100):
        meter.note(result, float(second))
    for tenth in range(700):
        meter.note(result, 100 + tenth / 10)
    assert meter.progress(170.0, 0, 1).rate == pytest.approx(10, rel=0.02)
