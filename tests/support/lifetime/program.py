"""Process of the campaign: plays rounds, checks after each that nothing is left, and prints what it found as JSON."""

from __future__ import annotations

import _thread
import asyncio
import faulthandler
import gc
import json
import logging
import random
import shutil
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from claude_code_client import AsyncClaudeClient, ClaudeClient
from claude_code_client._transport.background_threads import _unstarted
from support.clients.background_work import wait_for_background_work
from support.clients.client_kinds import KEY
from support.lifetime.bill import Bill
from support.lifetime.calls import COST, Round
from support.lifetime.disturbances import LineInterrupt
from support.lifetime.rounds import play

HANGS = 60.0
"""Seconds after which a round counts as hanging; the process then shows all stacks and ends."""
_NOTHING = 1e-9
"""USD."""
_SETTLING = 3.0
"""Seconds that a finalizer's thread has to begin."""
_BOOKKEEPING = (
    "budget.py",
    "cost.py",
    "task_ledger.py",
    "<attrs generated methods claude_code_client._operations.cost",
)
"""Places where an interruption may leave money reserved: between taking it out of a budget and noting for whom."""


class Campaign:
    """Rounds against one server."""

    def __init__(self, base_url: str, database: str, folder: str, seed: str) -> None:
        self._base_url = base_url
        self._bill = Bill(Path(database))
        self._folder = Path(folder)
        self._seed = seed
        self._lines = LineInterrupt(random.Random(seed))
        self._warnings: list[str] = []
        self._descriptors = 0
        self._round: Round | None = None
        self.problems: list[str] = []
        self.ways: Counter[str] = Counter()
        self.slowest: tuple[float, int] = (0.0, 0)

    def watch(self) -> None:
        """Collect what would otherwise only be printed: exceptions without a caller, and warnings of asyncio."""

        def unraisable(args: Any) -> None:
            if "injected" in str(args.exc_value):
                self._lines.hit = ""  # in a finalizer, which is not interrupted: the call is to be, a little later
            elif ".pyc'" in str(args.object):
                pass  # Python itself reads a module without a with: SIGINT came during its first import
            else:
                self._warnings.append(f"{args.exc_value!r} in {args.object!r}")

        sys.unraisablehook = unraisable
        threading.excepthook = lambda args: self._warnings.append(f"{args.exc_value!r} in {args.thread}")

        def emit(record: logging.LogRecord) -> None:
            if not (_is_of_asyncio(record) and self._round is not None and self._round.has_way("SIGINT")):
                self._warnings.append(f"{record.getMessage()} {record.exc_info}")

        handler = logging.Handler(logging.WARNING)
        handler.emit = emit  # type: ignore[method-assign]
        logging.getLogger().addHandler(handler)

    def run(self, first: int, count: int) -> None:
        """Play rounds; the first one only warms up."""
        self.watch()
        for number in range(first - 1, first + count):
            faulthandler.dump_traceback_later(HANGS, exit=True)
            started = time.monotonic()
            self._play(number)
            if (seconds := time.monotonic() - started) > self.slowest[0]:
                self.slowest = (round(seconds, 2), number)
            if number < first:
                self._descriptors = len(_descriptors())
                gc.freeze()  # so that the collections after each round are quick
        faulthandler.cancel_dump_traceback_later()

    def _play(self, number: int) -> None:
        before = self._bill.total()
        dice = random.Random(f"{self._seed} {number}")
        kind = "async" if number % 2 else "sync"
        cls: Any = AsyncClaudeClient if kind == "async" else ClaudeClient
        folder = self._folder / str(number)
        folder.mkdir()
        client = cls(KEY, self._base_url, timeout=20, journal=folder / "journal")
        self._round = round_ = Round(kind, number, client, dice, folder)
        try:
            with client.budget(100) as budget:
                del client
                play(round_, self._lines)
        except BaseException as error:
            self._report(round_, "".join(traceback.format_exception(error)))
        self._check(round_, budget, before)
        self.ways.update(f"{kind} {way}" for _, way, *_ in round_.calls)
        shutil.rmtree(folder)

    def _check(self, round_: Round, budget: Any, before: float) -> None:
        round_.client = None
        round_.kept.clear()
        round_.handles.clear()
        gc.collect()
        if left := self._bill.wait_for_rest(round_.prefix):
            self._report(round_, f"left running: {left}")
        limit = time.monotonic() + _SETTLING
        while True:
            _wait_for_threads()
            problems = list(self._problems(round_, budget, before))
            if not problems or time.monotonic() > limit:
                break
            time.sleep(0.01)
        for problem in problems:
            self._report(round_, problem)
        if self._warnings:
            self._report(round_, f"warnings: {self._warnings}")
            self._warnings.clear()
        if self._descriptors:
            self._descriptors = len(_descriptors())

    def _problems(self, round_: Round, budget: Any, before: float) -> Iterator[str]:
        """Yield what is left of a round, or wrong in its budget."""
        billed = self._bill.total() - before
        tasks = self._bill.tasks(round_.prefix)
        if any(runs > 1 for runs in tasks.values()):
            yield f"ran twice: {tasks}"
        if budget.spent > billed + _NOTHING or budget.spent < COST * len(tasks) - _NOTHING:
            yield f"spent {budget.spent}, {len(tasks)} tasks, billed {billed}"
        if budget.spent + budget.reserved < billed - _NOTHING:
            yield f"settled too low: {budget!r}, billed {billed}"
        in_bookkeeping = any(hit and hit[0].startswith(_BOOKKEEPING) for _, _, *hit in round_.calls)
        if budget.reserved > _NOTHING and not round_.may_stay_reserved and not in_bookkeeping:
            yield f"left reserved: {budget!r}, billed {billed}"
        if (threads := [thread.name for thread in threading.enumerate()]) != ["MainThread"]:
            yield f"threads: {threads}"
        if self._descriptors and len(_descriptors()) != self._descriptors:
            yield f"descriptors: {_descriptors()}"

    def _report(self, round_: Round, problem: str) -> None:
        calls = "; ".join(", ".join(filter(None, call)) for call in round_.calls)
        self.problems.append(f"{round_.kind} round {round_.number} ({calls}): {problem}")


def _is_of_asyncio(record: logging.LogRecord) -> bool:
    """Return whether the record tells of a future that was cancelled while asyncio's own code was setting its result.

    asyncio.run() cancels its main task in the signal handler of SIGINT, which may interrupt the event loop anywhere:
    https://github.com/python/cpython/issues/95592. Found in _copy_future_state() and _sock_connect_cb().
    """
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, AssertionError | asyncio.InvalidStateError):
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals["__name__"]).startswith("asyncio.")


def _wait_for_threads() -> None:
    """Wait for the threads of clients, and for those that finalizers are about to start."""
    limit = time.monotonic() + _SETTLING
    while (_unstarted or _thread._count()) and time.monotonic() < limit:
        wait_for_background_work()
        time.sleep(0.001)


def _descriptors() -> dict[str, str]:
    """Return the open descriptors, but that of the listing itself."""
    found = {}
    for path in Path("/dev/fd").iterdir():
        with suppress(OSError):
            found[path.name] = str(path.readlink()) if sys.platform == "linux" else ""
    return found


def main() -> None:
    # A shell starts background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    base_url, database, folder, seed, first, count = sys.argv[1:]
    campaign = Campaign(base_url, database, folder, seed)
    campaign.run(int(first), int(count))
    print(json.dumps({"problems": campaign.problems, "ways": campaign.ways, "slowest": campaign.slowest}))


if __name__ == "__main__":
    main()
