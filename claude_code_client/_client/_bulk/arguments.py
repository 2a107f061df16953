"""Arguments of a batch, checked before anything is sent. No I/O."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import attrs

from ..._config import check_timeout
from ..._policy.budget import Budget
from ...errors import ConfigurationError, InvalidRequestError
from ..options import CompletionItem, TaskItem
from .results import BatchProgress

OnError = Literal["collect", "raise"]
Progress = bool | Callable[[BatchProgress], object]

_KNOWN: Final = {"map_completions": CompletionItem, "map_tasks": TaskItem}
_MOST: Final = 10_000
_MOST_FOR_WORKERS: Final = 4096
"""Items in memory that workers take several at once of, unless there are even more calls in flight."""


@attrs.frozen(kw_only=True)
class BatchOptions:
    """Options of one batch."""

    method: str
    max_in_flight: int
    ordered: bool
    results: str | os.PathLike[str] | None
    budget: float | None
    deadline: float | None
    on_error: OnError
    progress: Progress
    executor: Any = attrs.field(default=None, repr=False)
    """``concurrent.futures.Executor`` whose workers run the items; None for this process."""
    worker_key: str | os.PathLike[str] | None = attrs.field(default=None, repr=False)
    """Source of the API key for workers."""
    shared: Mapping[str, Any] = attrs.field(repr=False)
    """Parameters of all items."""

    @property
    def known(self) -> frozenset[str]:
        """Names of the parameters that an item may have."""
        return frozenset(_KNOWN[self.method].__annotations__)

    @property
    def window(self) -> int:
        """Items that may be in memory at once: waiting, in flight, or with a result that nobody has taken yet."""
        if self.executor is None:
            return max(4 * self.max_in_flight, 64)
        return max(4 * self.max_in_flight, min(32 * self.max_in_flight, _MOST_FOR_WORKERS), 256)


def batch_options(method: str, shared: Mapping[str, Any], **options: Any) -> BatchOptions:
    """Return checked options. Raises ConfigurationError or InvalidRequestError, naming the parameter."""
    checked = BatchOptions(
        method=method, shared={name: value for name, value in shared.items() if value is not None}, **options
    )
    most = checked.max_in_flight
    if type(most) is not int or not 1 <= most <= _MOST:
        raise ConfigurationError(f"max_in_flight must be an int from 1 to {_MOST}.", param="max_in_flight")
    if checked.on_error not in ("collect", "raise"):
        raise InvalidRequestError('on_error must be "collect" or "raise".', param="on_error")
    if checked.results is not None and not isinstance(checked.results, str | os.PathLike):
        raise ConfigurationError("results must be the path of a file.", param="results")
    if checked.deadline is not None:
        check_timeout(checked.deadline, "deadline")
    if checked.budget is not None:
        try:
            Budget(checked.budget)
        except ConfigurationError as error:
            raise ConfigurationError(error.message.replace("usd", "budget"), param="budget") from None
    if not isinstance(checked.progress, bool) and not callable(checked.progress):
        raise InvalidRequestError("progress must be True, False or a function.", param="progress")
    check_workers(checked)
    return checked


def check_workers(options: BatchOptions) -> None:
    """Raise ConfigurationError if there can be no workers as the options say."""
    if options.executor is None:
        if options.worker_key is not None:
            raise ConfigurationError("worker_key is for the workers of an executor: pass both.", param="worker_key")
        return
    from concurrent.futures import Executor

    if not isinstance(options.executor, Executor):
        raise ConfigurationError(
            "executor must be a concurrent.futures.Executor, such as a ProcessPoolExecutor or the get_executor() of a "
            f"Dask client, not {type(options.executor).__name__}.",
            param="executor",
        )
    from .worker_key import check_worker_key

    check_worker_key(options.worker_key)
