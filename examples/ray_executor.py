"""Completions by the workers of a Ray cluster.

Run it with CLAUDE_API_KEY, and CLAUDE_BASE_URL if it is not the hosted service, in the environment; the workers read
the key from theirs. Ray has no ``concurrent.futures.Executor`` of its own: ``RayExecutor`` is all that it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import ray

from claude_code_client import ClaudeClient


class RayExecutor(Executor):
    """Executor whose workers are those of the Ray cluster that this process is connected to."""

    def __init__(self, **options: Any) -> None:
        """Take the options of Ray's tasks, such as ``num_cpus=1``."""
        # The batch repeats what was lost with a worker, and knows whether it may.
        self._options = {"max_retries": 0, **options}
        self._functions: dict[Callable[..., Any], Any] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function on a worker."""
        if fn not in self._functions:
            self._functions[fn] = ray.remote(**self._options)(fn)
        reference = self._functions[fn].remote(*args, **kwargs)
        future: Future[Any] = reference.future()
        future.add_done_callback(lambda done: ray.cancel(reference) if done.cancelled() else None)
        return future


def main() -> None:
    """Print a few completions."""
    ray.init(num_cpus=2, include_dashboard=False)
    prompts = [f"Say {number}" for number in range(20)]
    with ClaudeClient() as client:
        for result in client.map_completions(prompts, max_tokens=20, executor=RayExecutor()):
            print(result.index, result.unwrap().content)
    ray.shutdown()


if __name__ == "__main__":
    main()
