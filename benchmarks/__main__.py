"""All benchmarks, or those that are named: prints the table, and writes it with a plot if nothing was left out."""

from __future__ import annotations

import argparse
import gc
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

from benchmarks.plot import plot
from benchmarks.rows import Chart, Row, as_json, table

RESULTS: Final = Path(__file__).with_name("results")
PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "performance.md"

_BEGIN: Final = "<!-- benchmarks -->\n"
_END: Final = "\n<!-- end -->"

_NAMES: Final = ("calls", "in_flight", "tasks", "streams", "followers", "startup", "server", "batches", "agent")


def main() -> int:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(_NAMES)}; default: all")
    names: list[str] = parser.parse_args().names
    if unknown := set(names) - set(_NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    for name in [name for name in os.environ if name.startswith(("ANTHROPIC_", "CLAUDE_", "OPENAI_"))]:
        del os.environ[name]
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    status = 0
    rows: list[Row] = []
    charts: list[Chart] = []
    for name in names or _NAMES:
        start = time.monotonic()
        bench: Callable[[], tuple[list[Row], list[Chart]]] = getattr(
            import_module(f"benchmarks.{name}"), f"bench_{name}"
        )
        try:
            more_rows, more_charts = bench()
        except Exception:
            # The others are worth having; the exit status says that one is missing.
            traceback.print_exc()
            status = 1
            continue
        rows += more_rows
        charts += more_charts
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
        gc.collect()
    print(table(rows))
    if not names:
        _write(rows, charts)
    return status


def _write(rows: list[Row], charts: list[Chart]) -> None:
    about = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
    }
    RESULTS.mkdir(exist_ok=True)
    for name, text in (
        ("results.json", as_json(rows, charts, about)),
        ("table.md", table(rows) + "\n"),
        ("plot.svg", plot(charts)),
    ):
        (RESULTS / name).write_text(text, encoding="utf-8")
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    PAGE.write_text(f"{head}{_BEGIN}\n{table(rows)}\n{_END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
