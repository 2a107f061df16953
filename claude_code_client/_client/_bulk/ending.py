"""End of a batch that its caller leaves early: what to tell the caller."""

from __future__ import annotations

import asyncio
import logging
import sys

from .arguments import BatchOptions
from .results import BatchProgress

logger = logging.getLogger("claude_code_client")

_INTERRUPTS = (KeyboardInterrupt, asyncio.CancelledError, SystemExit)


def describe(options: BatchOptions, progress: BatchProgress) -> str:
    """Return how far the batch has come, and how to go on."""
    total = "" if progress.total is None else f" of {progress.total}"
    begun = f"{options.method}() was stopped after {progress.done}{total} items; calls in progress were cancelled."
    if options.results is None:
        return f"{begun} Pass results=PATH to be able to go on after an interruption."
    return f"{begun} To go on, call it again with the same items and results={str(options.results)!r}."


def report(
    options: BatchOptions, progress: BatchProgress, error: BaseException | None = None, *, dropped: bool = False
) -> None:
    """Say on the exception, and in the log, how to go on.

    It is a warning after an interruption, which a batch that was dropped cannot tell from ``break``.
    """
    text = describe(options, progress)
    cause = error or sys.exc_info()[1]
    if error is not None:
        error.add_note(text)
    logger.log(logging.WARNING if dropped or isinstance(cause, _INTERRUPTS) else logging.INFO, "%s", text)
