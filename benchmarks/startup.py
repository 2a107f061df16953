"""CPU of a new process that imports the library and makes a client, beyond that of an empty process."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Final

from benchmarks.rows import Bar, Chart, Row
from benchmarks.timing import in_turn

_HTTPX: Final = "import httpx"
_OURS: Final = "import and make a ClaudeClient"
_ROUNDS: Final = 7
_URL: Final = "http://127.0.0.1:1/v1"
_CODE: Final = {
    "nothing": "pass",
    _HTTPX: "import httpx",
    _OURS: f"from claude_code_client import ClaudeClient; ClaudeClient('sk-proj-bench', '{_URL}')",
}
_PEERS: Final = {
    "import and make an Anthropic": "import anthropic; anthropic.Anthropic(api_key='k')",
    "import and make an OpenAI": "import openai; openai.OpenAI(api_key='k')",
}


def bench_startup() -> tuple[list[Row], list[Chart]]:
    samples = in_turn({name: _process(code) for name, code in _CODE.items()}, _ROUNDS)
    peers = in_turn({name: _process(code) for name, code in _PEERS.items()}, 1)
    nothing = min(samples["nothing"])
    # The least of all rounds: whatever disturbs a process only makes it slower.
    cpu = {name: min(rounds) - nothing for name, rounds in {**samples, **peers}.items() if name != "nothing"}
    row = Row(_OURS, cpu[_OURS] / cpu[_HTTPX], "", f"{_HTTPX} ({cpu[_HTTPX] * 1e3:.0f} ms)", 1.25)
    bars = [Bar(name, cpu[name] * 1e3, ours=name == _OURS) for name in sorted(cpu, key=lambda name: cpu[name])]
    return [row], [Chart("CPU of a start, in milliseconds", " ms", bars)]


def _process(code: str) -> Callable[[], float]:
    def measure() -> float:
        before = _used()
        subprocess.run([sys.executable, "-c", code], check=True)
        return _used() - before

    measure()  # compiles the modules
    return measure


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
