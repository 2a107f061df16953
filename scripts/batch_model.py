"""Model of a large batch over a day, and figure of throughput by workers, from what `benchmarks.workers` measured.

`python scripts/batch_model.py` writes the figure and the table in docs/scaling.md; `--check` fails if they differ.
The model goes through the day minute by minute. In each, the scarcest thing decides how many items are done: requests
that the service allows, calls in flight, or processors. Refused and lost requests are sent again and count again.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

ROOT: Final = Path(__file__).resolve().parent.parent
MEASURED: Final = ROOT / "benchmarks" / "results" / "workers.json"
FIGURE: Final = ROOT / "benchmarks" / "results" / "workers.svg"
PAGE: Final = ROOT / "docs" / "scaling.md"
MILLION: Final = 1_000_000
DAY: Final = 24 * 60
"""Minutes."""
_TABLE: Final = re.compile(r"(<!-- batch model -->\n).*?(<!-- end -->)", re.DOTALL)


@attrs.frozen(kw_only=True)
class Load:
    """Batch, and what there is for it."""

    items: int = MILLION
    requests_per_minute: float
    """Limit of the service."""
    latency: float = 2.0
    """Seconds of a call."""
    in_flight: int = 64
    workers: int = 0
    """Worker processes; 0 for a batch in one process."""
    cpu_alone: float
    """Seconds of CPU of an item in a batch in one process."""
    cpu_coordinator: float
    """Seconds of CPU of an item in the coordinator of workers."""
    cpu_worker: float
    """Seconds of CPU of an item in a worker."""
    repeated: float = 0.03
    """Share of requests that fail and are sent again."""
    lost_workers: int = 24
    """Workers that die in a day; the calls that they had in flight are sent again."""
    restarts: int = 4
    """Restarts of the coordinator in a day; all calls in flight are sent again."""
    restart_minutes: float = 1.0


@attrs.frozen
class Outcome:
    """Outcome of a day."""

    items: float
    """Items that are done."""
    minutes: float
    """Minutes until all are done, or the day is over."""
    requests: float
    scarce: str
    """Name of what decided."""


def capacities(load: Load) -> dict[str, float]:
    """Return the requests a minute that each resource allows."""
    found = {
        "the service's limit": load.requests_per_minute,
        "calls in flight": 60 * load.in_flight / load.latency,
    }
    if load.workers:
        found["the workers' processors"] = 60 * load.workers / load.cpu_worker
        found["the coordinator's processor"] = 60 / load.cpu_coordinator
    else:
        found["the processor"] = 60 / load.cpu_alone
    return found


def simulate(load: Load, minutes: int = DAY) -> Outcome:
    """Return what a day brings."""
    allowed = capacities(load)
    scarce = min(allowed, key=lambda name: allowed[name])
    lost = _spread(load.lost_workers if load.workers else 0, minutes)
    restarts = _spread(load.restarts, minutes)
    done = requests = again = outage = 0.0
    for minute in range(minutes):
        if minute in restarts:
            again += load.in_flight
            outage += load.restart_minutes
        if minute in lost:
            again += load.in_flight / load.workers
        idle = min(outage, 1.0)
        outage -= idle
        budget = allowed[scarce] * (1 - idle)
        repeated = min(again, budget)
        again -= repeated
        possible = (budget - repeated) * (1 - load.repeated)
        left = load.items - done
        if possible >= left:
            used = left / possible if possible else 0.0
            return Outcome(load.items, minute + used, requests + repeated + used * (budget - repeated), scarce)
        done += possible
        requests += budget
    return Outcome(done, minutes, requests, scarce)


def _spread(count: int, minutes: int) -> set[int]:
    return {round((number + 0.5) * minutes / count) for number in range(count)} if count else set()


def scenarios(measured: Mapping[str, Any]) -> list[Load]:
    """Return the loads of the table, with the constants that were measured."""
    rows = {row["workers"]: row for row in measured["rows"] if row["server_seconds"] == 0}
    two = rows[2]
    constants = {
        "cpu_alone": rows[0]["cpu_here"],
        "cpu_coordinator": two["cpu_here"],
        "cpu_worker": two["cpu_in_workers"],
    }
    cases = [(100, 64, 0), (1000, 64, 0), (4000, 64, 0), (4000, 256, 0), (4000, 256, 4), (100_000, 4096, 0)]
    cases += [(100_000, 4096, 4)]
    return [
        Load(requests_per_minute=limit, in_flight=most, workers=workers, **constants) for limit, most, workers in cases
    ]


def table(loads: Sequence[Load]) -> str:
    """Return the table of a million items in a day."""
    lines = ["| Requests a minute | In flight | Workers | A million items | Scarce |", "|---|---|---|---|---|"]
    for load in loads:
        outcome = simulate(load)
        time = f"in {outcome.minutes / 60:.1f} h" if outcome.items >= load.items else f"{outcome.items:,.0f} in a day"
        workers = str(load.workers or "one process")
        lines.append(f"| {load.requests_per_minute:,} | {load.in_flight:,} | {workers} | {time} | {outcome.scarce} |")
    return "\n".join(lines) + "\n"


def figure(measured: Mapping[str, Any]) -> str:
    """Return the figure of throughput by workers as SVG."""
    width, height, left, bottom, top = 720, 300, 70, 250, 50
    rows = measured["rows"]
    counts = sorted({row["workers"] for row in rows})
    most = max(row["items_per_second"] for row in rows) * 1.1
    step = (width - left - 40) / (len(counts) - 1)
    parts = [f'<text x="12" y="24" font-weight="bold">Items a second, on {measured["processors"]} processors</text>']
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - (bottom - top) * share
        parts.append(f'<line x1="{left}" x2="{width - 20}" y1="{y:.0f}" y2="{y:.0f}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">{most * share:,.0f}</text>')
    for position, count in enumerate(counts):
        name = f"{count} worker{'s' if count > 1 else ''}" if count else "one process"
        anchor = "start" if position == 0 else "middle"
        parts.append(f'<text x="{left + step * position:.0f}" y="{bottom + 20}" text-anchor="{anchor}">{name}</text>')
    for seconds, colour in ((0.0, "#c15f3c"), (0.5, "#57606a")):
        line = sorted((row["workers"], row["items_per_second"]) for row in rows if row["server_seconds"] == seconds)
        points = [(left + step * counts.index(count), bottom - (bottom - top) * rate / most) for count, rate in line]
        parts.append(
            f'<polyline points="{" ".join(f"{x:.0f},{y:.0f}" for x, y in points)}" fill="none" stroke="{colour}" '
            'stroke-width="2"/>'
        )
        parts += [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{colour}"/>' for x, y in points]
        name = "a server that responds at once" if seconds == 0 else f"a server that takes {seconds:g} s"
        x, y = points[-1]
        parts.append(f'<text x="{x:.0f}" y="{y - 10:.0f}" text-anchor="end" fill="{colour}">{name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13" fill="#1f2328">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def main() -> int:
    """Parse the command line and run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if there is something to write")
    check = parser.parse_args().check
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    rows = table(scenarios(measured))
    wanted = {FIGURE: figure(measured), PAGE: _TABLE.sub(lambda found: found[1] + rows + found[2], page)}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)} differs from what was measured" if check else f"writing {path.name}")
        if not check:
            path.write_text(wanted[path], encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
