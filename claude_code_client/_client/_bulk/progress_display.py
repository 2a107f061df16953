"""Display of a batch's progress: a bar in a terminal or a notebook, a line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from ..._transport.foreign_errors import call_callback
from .arguments import Progress
from .results import BatchProgress

_WIDTH: Final = 24
_OFTEN: Final = 0.1
"""Seconds between two updates of a bar."""
_SELDOM: Final = 60.0
"""Seconds between two lines."""


class Display(Protocol):
    """Place where progress is shown."""

    interval: float
    """Seconds between two updates."""

    def show(self, progress: BatchProgress) -> None:
        """Show the progress."""

    def close(self, progress: BatchProgress) -> None:
        """Show the progress for the last time."""


class ProgressReporter:
    """Progress of one batch, on its way to whoever wants to see it, and not too often."""

    def __init__(self, progress: Progress) -> None:
        self._display: Display | None = None
        if callable(progress):
            self._display = _Function(progress)
        elif progress:
            self._display = _chosen()
        self._due = 0.0

    def update(self, current: Callable[[], BatchProgress], *, last: bool = False) -> None:
        """Show the progress if it is time, or if the batch has ended."""
        if self._display is None:
            return
        now = time.monotonic()
        if last:
            self._display.close(current())
            self._display = None
        elif now >= self._due:
            self._due = now + self._display.interval
            self._display.show(current())


class _Function:
    interval = 0.0

    def __init__(self, function: Callable[[BatchProgress], object]) -> None:
        self._function = function

    def show(self, progress: BatchProgress) -> None:
        call_callback(self._function, progress)

    close = show


class _Lines:
    interval = _SELDOM

    def show(self, progress: BatchProgress) -> None:
        print(line(progress), file=sys.stderr, flush=True)  # noqa: T201 (asked for)

    close = show


class _Bar:
    interval = _OFTEN

    def show(self, progress: BatchProgress) -> None:
        print(f"\r\x1b[2K{bar(progress)} {line(progress)}", end="", file=sys.stderr, flush=True)  # noqa: T201

    def close(self, progress: BatchProgress) -> None:
        self.show(progress)
        print(file=sys.stderr, flush=True)  # noqa: T201


class _Notebook:
    interval = _OFTEN * 5

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None

    def show(self, progress: BatchProgress) -> None:
        shown = {"text/plain": f"{bar(progress)} {line(progress)}"}
        if self._handle is None:
            self._handle = self._display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)

    close = show


def _chosen() -> Display:
    # Not imported for the sake of it: a notebook has imported it.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and hasattr(shell, "kernel"):
        from importlib import import_module

        return _Notebook(import_module("IPython.display").display)
    return _Bar() if sys.stderr.isatty() else _Lines()


def line(progress: BatchProgress) -> str:
    """Return the progress as text."""
    total = "" if progress.total is None else f" of {progress.total}"
    parts = [
        f"{progress.done}{total} done",
        f"{progress.failed} failed",
        f"${progress.cost:.4f}",
        f"{progress.rate:.1f}/s",
    ]
    if progress.resumed:
        parts.insert(1, f"{progress.resumed} from the results file")
    if progress.eta is not None:
        parts.append(f"ETA {_duration(progress.eta)}")
    return ", ".join(parts)


def bar(progress: BatchProgress) -> str:
    """Return the progress as a bar; one without a total shows nothing but that it lives."""
    if not progress.total:
        return "[" + "·" * _WIDTH + "]"
    filled = min(progress.done * _WIDTH // progress.total, _WIDTH)
    return "[" + "█" * filled + "·" * (_WIDTH - filled) + "]"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
