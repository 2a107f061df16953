"""Client methods for batches: many items through ``complete()`` or ``execute_task()``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Unpack

from ...models import AgenticTaskResponse, CompletionResponse
from ..options import SharedCompletionOptions, SharedTaskOptions, expand_options
from ..tracebacks import strip_tracebacks
from .base import AsyncBase

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from .._bulk.async_batch import AsyncBatch, CompletionItems, TaskItems
    from .._bulk.results import BatchProgress

# The code of batches is imported when it is first used: many programs make single calls.


class AsyncBatches(AsyncBase):
    """Batches: many items, at the pace that the server can take, with a file to go on from after a crash."""

    @strip_tracebacks
    @expand_options(SharedCompletionOptions)
    def map_completions(
        self,
        items: CompletionItems,
        *,
        max_in_flight: int = 32,
        ordered: bool = False,
        results: str | os.PathLike[str] | None = None,
        budget: float | None = None,
        deadline: float | None = None,
        on_error: Literal["collect", "raise"] = "collect",
        progress: bool | Callable[[BatchProgress], object] = False,
        executor: Executor | None = None,
        worker_key: str | os.PathLike[str] | None = None,
        **options: Unpack[SharedCompletionOptions],
    ) -> AsyncBatch[CompletionResponse]:
        """Run :meth:`complete` on many items and iterate over the results, as they finish.

        An item is a prompt, or a dict or dataclass of the parameters of :meth:`complete`; a ``custom_id`` in it is
        repeated in its result. Items are read as there is room for them, so that they may come from an iterator of any
        length. One failed item does not affect the others. The batch begins with the first step of the loop; leaving
        the loop ends it, and cancels the calls in progress.

        The number of calls in flight follows the server: it grows while that raises the throughput, shrinks when the
        server is overloaded, and pauses as ``Retry-After`` and ``X-RateLimit-*`` say.

        Args:
            items: The items.
            {options}
            max_in_flight: Most calls in flight at once.
            ordered: Yield results in the order of the items, not as they finish.
            results: File that each result is written to before it is yielded, one line of JSON each. The same call,
                started again with it, yields the results in the file and runs the items that are missing; what was
                in flight when the process died is not run twice. Missing are also items that failed for a reason that
                may pass, such as a lost connection. Of the items in the file, 8 bytes each are kept in memory.
            budget: USD that all items may cost together, earlier runs with the same file included. An item that it
                does not allow fails with ``CostExceededError``, and is not sent.
            deadline: Seconds for the whole batch. Items in progress then fail with ``TimeoutError``; no further items
                are read.
            on_error: ``"collect"`` to yield failed items as results with an ``error``; ``"raise"`` to end the batch
                with the exception of the first one.
            progress: True to show the progress on stderr, as a bar in a terminal or a notebook, else as a line a
                minute; or a function to call with it after each item.
            executor: Executor whose workers run the items, such as ``ProcessPoolExecutor(4)`` or the
                ``get_executor()`` of a Dask client; None for this process.
            worker_key: Where the workers find the API key, which is not sent to them: the name of an environment
                variable of theirs, or the ``Path`` of a file. By default that is ``CLAUDE_API_KEY``; threads, and
                processes forked from this one, have the key of this client.

        Raises:
            ConfigurationError: An argument is invalid, or the results file belongs to other items.
            AuthenticationError: The server does not accept the key; raised by the loop, whatever ``on_error`` says.
        """
        from .._bulk.async_batch import open_batch

        return open_batch(
            self._connection,
            "map_completions",
            items,
            options,
            max_in_flight=max_in_flight,
            ordered=ordered,
            results=results,
            budget=budget,
            deadline=deadline,
            on_error=on_error,
            progress=progress,
            executor=executor,
            worker_key=worker_key,
        )

    @strip_tracebacks
    @expand_options(SharedTaskOptions)
    def map_tasks(
        self,
        items: TaskItems,
        *,
        max_in_flight: int = 8,
        ordered: bool = False,
        results: str | os.PathLike[str] | None = None,
        budget: float | None = None,
        deadline: float | None = None,
        on_error: Literal["collect", "raise"] = "collect",
        progress: bool | Callable[[BatchProgress], object] = False,
        executor: Executor | None = None,
        worker_key: str | os.PathLike[str] | None = None,
        **options: Unpack[SharedTaskOptions],
    ) -> AsyncBatch[AgenticTaskResponse]:
        """Run :meth:`execute_task` on many items and iterate over the results, as they finish.

        An item is a description, or a dict or dataclass of the parameters of :meth:`execute_task`. Everything else is
        as for :meth:`map_completions`. A task that ended with another status than ``completed`` has a response, but
        counts as failed: its result is not ``ok``.

        Args:
            items: The items.
            {options}
            max_in_flight: Most tasks in progress at once. A task that waits for its turn at the server uses up its
                call's deadline, which is a tenth longer than its timeout.
            ordered: Yield results in the order of the items, not as they finish.
            results: File of results, with which the same call can be started again.
            budget: USD that all tasks may cost together; each reserves its ``max_cost``.
            deadline: Seconds for the whole batch. Tasks in progress are then cancelled.
            on_error: ``"collect"`` or ``"raise"``.
            progress: True to show the progress, or a function to call with it.
            executor: Executor whose workers run the tasks; None for this process.
            worker_key: Where the workers find the API key.

        Raises:
            ConfigurationError: An argument is invalid, or the results file belongs to other items.
            AuthenticationError: The server does not accept the key; raised by the loop, whatever ``on_error`` says.
        """
        from .._bulk.async_batch import open_batch

        return open_batch(
            self._connection,
            "map_tasks",
            items,
            options,
            max_in_flight=max_in_flight,
            ordered=ordered,
            results=results,
            budget=budget,
            deadline=deadline,
            on_error=on_error,
            progress=progress,
            executor=executor,
            worker_key=worker_key,
        )
