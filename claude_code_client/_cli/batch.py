"""Command ``batch``: a file of requests, one a line, through ``map_completions()`` or ``map_tasks()``."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from .._client._bulk.result_lines import is_final
from .._client._sync.client import ClaudeClient
from ..errors import ClaudeAPIError, ConfigurationError
from .batch_estimate import Sample, check
from .batch_lines import RequestFile, ResultLines, problem_of, result_line

DONE: Final = 0
FAILED: Final = 1
"""The batch could not begin, or ended early."""
USAGE: Final = 2
SOME_FAILED: Final = 3
"""The batch came to its end, with requests that failed."""
INTERRUPTED: Final = 130
_EPILOG: Final = (
    "Exit status: 0 if all requests have succeeded, 1 if the batch could not begin or ended early, 2 for wrong "
    "options, 3 if requests have failed, 130 after Ctrl-C. The key is taken from CLAUDE_API_KEY."
)


def run(arguments: Sequence[str], *, is_program: bool) -> int:
    """Run the batch and return the exit status. Raises ClaudeAPIError if it could not begin, or ended early.

    Args:
        arguments: Options of the command.
        is_program: True if this process runs nothing else.
    """
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as end:  # of argparse, with its message written
        return int(end.code or 0)
    if is_program:
        # What it says about an interruption is meant for programs; the command says it in its own words.
        logging.getLogger("claude_code_client").setLevel(logging.ERROR)
    command = _Command(options)
    problem = command.problem
    if problem:
        sys.stderr.write(f"claude-code-client batch: {problem}\n")
        return USAGE
    try:
        with ClaudeClient(base_url=options.base_url) as client:
            return command.check(client) if options.dry_run else command.run(client)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nStopped. {command.how_to_go_on}\n")
        return INTERRUPTED
    except OSError as error:
        if isinstance(error, ClaudeAPIError):
            raise
        raise ConfigurationError(f"Cannot use {error.filename}: {error.strerror}.") from None


class _Command:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._input = Path(options.file)
        self._out = Path(options.out or f"{self._input.with_suffix('')}.results.jsonl")
        self._state = self._out.with_name(f"{self._out.name}.state")
        self._part = self._out.with_name(f"{self._out.name}.part")
        self._method = "map_tasks" if options.tasks else "map_completions"
        self._text = "description" if options.tasks else "prompt"
        shared = {"model": options.model, "timeout": options.timeout}
        shared |= {"max_cost": options.max_cost, "allow_tools": options.allow_tools} if options.tasks else {}
        shared |= {} if options.tasks else {"max_tokens": options.max_tokens}
        self._shared = {name: value for name, value in shared.items() if value is not None}

    @property
    def problem(self) -> str:
        """Sentence on what is wrong with the options; empty if nothing is."""
        options = self._options
        if not self._input.is_file():
            return f"there is no file {self._input}"
        if options.tasks and options.max_tokens is not None:
            return "--max-tokens is for completions: tasks have --max-cost"
        if not options.tasks and (options.max_cost is not None or options.allow_tools is not None):
            return "--max-cost and --allow-tools are for --tasks"
        if options.dry_run:
            return ""
        if self._out.exists() and self._out.samefile(self._input):
            return "--out is the input file"
        if not options.resume and (self._out.exists() or self._state.exists()):
            return f"{self._out} or its state is there already: pass --resume to go on, or another --out"
        if options.resume and not self._state.exists() and not self._out.exists():
            return f"there is no batch to go on with: {self._state} does not exist"
        return ""

    @property
    def how_to_go_on(self) -> str:
        """Sentence with the command that goes on."""
        options = self._options
        words = ["claude-code-client", "batch", options.file, "--resume", "--out", str(self._out)]
        words += ["--tasks"] if options.tasks else []
        # With the limits: without --budget, the rest would run without one.
        for name in ("model", "max_tokens", "max_cost", "timeout", "base_url", "budget", "deadline", "max_in_flight"):
            value = getattr(options, name)
            words += [] if value is None else [f"--{name.replace('_', '-')}", str(value)]
        words += ["--allow-tools", ",".join(options.allow_tools)] if options.allow_tools else []
        return f"Results so far are kept. To go on: {shlex.join(words)}"

    def check(self, client: ClaudeClient) -> int:
        """Check all lines and say what they may cost; run none."""
        found = check(client, self._method, self._shared, self._requests(self._options.sample))
        for line, problem in found.problems:
            sys.stderr.write(f"line {line}: {problem}\n")
        sys.stdout.write(found.describe(len(self._requests())))
        return SOME_FAILED if found.problems else DONE

    def run(self, client: ClaudeClient) -> int:
        """Run the batch: what is missing, if it goes on."""
        lines = ResultLines(self._method, self._shared)
        if self._options.resume and not self._state.exists():
            if problem := lines.problem(self._requests(), self._out):
                raise ConfigurationError(
                    f"There is nothing to go on with: {problem}. Pass the input and the options of {self._out} again, "
                    "or another --out to run them anew."
                )
            sys.stderr.write(f"Nothing is missing: {self._out} is complete.\n")
            return DONE
        sample, failed, missing = Sample(), 0, 0
        total = len(self._requests())
        with open(self._part, "w", encoding="utf-8", opener=_private) as out, self._batch(client) as batch:
            for result in batch:
                out.write(lines.line(result))
                out.flush()
                sample.note(result)
                if not result.ok:
                    failed += 1
                    missing += not is_final(result) and bool(result.idempotency_key)
                    sys.stderr.write(f"line {result_line(result)['line']}: {problem_of(result)}\n")
            state = batch.progress
        is_whole = state.done == total
        self._part.replace(self._out)
        done = f"{state.done - failed} of {total} requests have succeeded, for ${state.cost:.4f}; results: {self._out}"
        sys.stderr.write(f"{done}\n")
        if self._options.sample is not None and state.done < total:
            sys.stdout.write(sample.describe(total))
        if is_whole and not failed:
            self._state.unlink(missing_ok=True)
        else:
            what = f"{failed} failed, {total - state.done} were not run." if failed else "The rest was not run."
            sys.stderr.write(f"{what} {self.how_to_go_on}\n")
        return SOME_FAILED if failed else DONE if is_whole or self._options.sample is not None else FAILED

    def _requests(self, limit: int | None = None) -> RequestFile:
        return RequestFile(self._input, self._text, limit)

    def _batch(self, client: ClaudeClient) -> Any:
        options = self._options
        limited = {"max_in_flight": options.max_in_flight} if options.max_in_flight is not None else {}
        return getattr(client, self._method)(
            self._requests(options.sample),
            results=self._state,
            budget=options.budget,
            deadline=options.deadline,
            progress=not options.quiet,
            **limited,
            **self._shared,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="claude-code-client batch", description=_ABOUT, epilog=_EPILOG)
    add = parser.add_argument
    add("file", metavar="FILE", help='requests, a JSON object a line: {"custom_id": …, "params": {…}}')
    add("--tasks", action="store_true", help="the lines are tasks; by default they are completions")
    add("--out", metavar="FILE", help="results (default: FILE without its suffix, and .results.jsonl)")
    add(
        "--resume",
        action="store_true",
        help="go on with an interrupted batch; run failed requests again if that may help",
    )
    add("--dry-run", action="store_true", help="check all lines and say what they may cost at most; run none")
    add("--sample", metavar="N", type=_count, help="run the first N lines only, and estimate the cost of all; with "
        "--dry-run, look at the first N lines only")  # fmt: skip
    add("--max-in-flight", metavar="N", type=_count, help="most requests in flight at once")
    add("--budget", metavar="USD", type=_amount, help="what the whole batch may cost, earlier runs included")
    add("--deadline", metavar="S", type=_amount, help="seconds after which no further request is begun")
    add("--model", help="model of lines that name none")
    add("--max-tokens", metavar="N", type=_count, help="most output tokens of lines that state none")
    add("--max-cost", metavar="USD", type=_amount, help="what one task may cost (with --tasks)")
    add("--allow-tools", metavar="A,B", type=_names, help="tools that tasks may use (with --tasks)")
    add("--timeout", metavar="S", type=_amount, help="seconds for one request")
    add("--base-url", metavar="URL", help="URL of the API (default: CLAUDE_BASE_URL)")
    add("--quiet", action="store_true", help="show no progress")
    return parser


_ABOUT: Final = "Run a file of completions or tasks, as many at once as the server takes, and go on after a crash."


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _amount(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
