"""The synchronous client."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from . import _calls
from ._config import Config, override, resolve
from ._journal import Journal
from ._revive import from_state, remember, shared_from_state, to_state
from ._seal import sealed
from ._shared import Shared
from ._tasks import TaskRun
from ._transport import SyncConnection, SyncEndpoints
from .budget import Budget
from .handles import TaskHandle
from .models import (
    AgenticTaskResponse,
    Capabilities,
    CompletionResponse,
    Health,
    Message,
    ModelInfo,
    TaskEvent,
    UsageReport,
)

if TYPE_CHECKING:
    from ._local import LocalServer

__all__ = ["ClaudeClient"]


class ClaudeClient:
    """A client of the Claude Code API. Make one and share it: between calls, and between threads.

    Every method raises a subclass of :class:`ClaudeAPIError` where it fails; ``errors`` draws the tree.
    """

    @sealed
    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        journal: str | os.PathLike[str] | None = None,
        allow_insecure_http: bool = False,
    ) -> None:
        """Nothing is sent yet.

        Args:
            api_key: The key; else ``CLAUDE_API_KEY``.
            base_url: Where the API is; else ``CLAUDE_BASE_URL``, else the hosted service.
            timeout: Seconds for a whole call; else ``CLAUDE_TIMEOUT``, else 300.
            max_retries: How often a call that may be repeated safely is tried again; 3 when left out.
            headers: More headers for every request.
            journal: A file in which tasks are noted before they are sent, so that :meth:`recover` finds them again
                after a crash. It holds prompts; only its owner may read it.
            allow_insecure_http: Accept an ``http://`` base_url of another machine, although the key travels in clear.

        Raises:
            AuthenticationError: There is no usable key.
            ConfigurationError: Anything else is unusable.
        """
        config = resolve(
            api_key=api_key,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            headers=headers,
            allow_insecure_http=allow_insecure_http,
        )
        self._connect(config, SyncConnection(config, Shared(journal=Journal(journal) if journal is not None else None)))

    def _connect(self, config: Config, connection: SyncConnection) -> None:
        self._config = remember(config)
        self._connection = connection
        self._server: LocalServer | None = None

    @classmethod
    @sealed
    def local(
        cls,
        workspace: str | os.PathLike[str] = ".",
        *,
        upstream: str | None = None,
        anthropic_api_key: str | None = None,
        model: str | None = None,
        state_dir: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        journal: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Start the embedded server on a free loopback port, and give a client on it; ``close()`` stops both.

        Needs the extra ``server``: ``pip install 'claude-code-client[server]'``. Blocks until the server is ready.

        Args:
            workspace: The folder that tasks work in. File tools stay inside; Bash runs with your rights.
            upstream: ``"anthropic"``, the URL of a Messages-compatible API, or ``"offline"``, a rule-based stand-in.
                When left out, ``"anthropic"`` if there is a key for it, else ``"offline"``.
            anthropic_api_key: The key for the upstream; else ``ANTHROPIC_API_KEY``. Only the server's relay sees it.
            model: The model that is used where a call names none.
            state_dir: Where tasks and events are kept; a temporary folder when left out.
            timeout: As for the client.
            max_retries: As for the client.
            journal: As for the client; of use with a ``state_dir``, which outlives the server.

        Raises:
            ConfigurationError: The server cannot start; the message says why.
        """
        from ._local import LocalServer

        server = LocalServer(
            workspace=workspace,
            upstream=upstream,
            anthropic_api_key=anthropic_api_key,
            model=model,
            state_dir=state_dir,
        )
        client = cls(
            api_key=server.api_key,
            base_url=server.base_url,
            timeout=timeout,
            max_retries=max_retries,
            journal=journal,
        )
        client._server = server
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return to_state(self._config, self._connection.shared)

    def __setstate__(self, state: dict[str, Any]) -> None:
        config = from_state(state)
        self._connect(config, SyncConnection(config, shared_from_state(state)))

    def __copy__(self) -> Self:
        # On connections of its own, but with the same budgets and the same journal.
        other = type(self).__new__(type(self))
        other._connect(self._config, SyncConnection(self._config, self._connection.shared))
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._config.base_url!r})"

    def close(self) -> None:
        """Close the connections, and stop the server that ``local()`` started. May be called again."""
        self._connection.close()
        if self._server is not None:
            self._server.stop()

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return self._config.base_url

    @property
    def api(self) -> SyncEndpoints:
        """The ``client`` argument for the generated endpoints in ``claude_code_api.api``, on the same connections."""
        return SyncEndpoints(self._connection)

    @sealed
    def with_options(
        self,
        *,
        timeout: float | None = None,
        max_retries: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """A client with other options on the same connections; closing it leaves them open.

        Args:
            timeout: Seconds for a whole call.
            max_retries: How often a call that may be repeated safely is tried again.
            headers: Headers to add.
        """
        config = override(self._config, timeout=timeout, max_retries=max_retries, headers=headers)
        other = type(self).__new__(type(self))
        other._connect(config, self._connection.reconfigured(config))
        return other

    @sealed
    def complete(
        self,
        prompt: str | None = None,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        *,
        messages: Sequence[Message] | None = None,
        stop: Sequence[str] | None = None,
        timeout: float | None = None,
        idempotency_key: str | None = None,
    ) -> CompletionResponse:
        """One reply to a prompt, or to a conversation.

        Args:
            prompt: The input text.
            model: ``"haiku"``, ``"sonnet"``, ``"opus"`` or a full model id; the server chooses when left out.
            max_tokens: Output tokens at most, from 1.
            temperature: Randomness, 0 to 2. Models that take none say so in ``warnings``.
            top_p: Nucleus sampling, 0 to 1. Models that take none say so in ``warnings``.
            messages: Several turns in place of ``prompt``: ``[{"role": "user", "content": "…"}, …]``.
            stop: Texts at which the reply ends.
            timeout: Seconds for the whole call; else the client's.
            idempotency_key: Calls with the same key are answered, and billed, once; new for each call when left out.

        Raises:
            InvalidRequestError: An argument is out of range; nothing was sent.
            ClaudeAPIError: Any other way in which the call failed.
        """
        return self._connection.run(
            _calls.complete(
                _calls.question(
                    self._config,
                    prompt=prompt,
                    messages=messages,
                    model=model,
                    max_tokens=max_tokens,
                    temperature=temperature,
                    top_p=top_p,
                    stop=stop,
                    timeout=timeout,
                    idempotency_key=idempotency_key,
                ),
                self._config,
                self._connection.shared,
            )
        )

    @sealed
    def stream_complete(
        self,
        prompt: str | None = None,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        *,
        messages: Sequence[Message] | None = None,
        stop: Sequence[str] | None = None,
        timeout: float | None = None,
        idempotency_key: str | None = None,
    ) -> Generator[str | CompletionResponse, None, None]:
        """One reply as it is written: its text in pieces, each a str, then the ``CompletionResponse``.

        Arguments and exceptions are those of :meth:`complete`.

        Raises:
            StreamInterruptedError: The stream was cut before the reply's end.
        """
        asked = _calls.question(
            self._config,
            prompt=prompt,
            messages=messages,
            model=model,
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            stop=stop,
            timeout=timeout,
            idempotency_key=idempotency_key,
        )
        return self._connection.stream(_calls.stream_complete(asked, self._config, self._connection.shared))

    @sealed
    def execute_task(
        self,
        description: str,
        allow_tools: Sequence[str] | None = None,
        allow_agents: Sequence[str] | None = None,
        allow_skills: Sequence[str] | None = None,
        timeout: float | None = None,
        max_cost: float | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        model: str | None = None,
        working_directory: str | None = None,
        idempotency_key: str | None = None,
    ) -> AgenticTaskResponse:
        """Run an agentic task and wait for its end.

        A task that ``failed`` or was ``cancelled`` is returned with that status.

        Args:
            description: What is to be done.
            allow_tools: Tools that it may use, as ``["Bash", "Read"]``; what the key may use by default when left out.
            allow_agents: Agents that it may spawn.
            allow_skills: Skills that it may invoke.
            timeout: Seconds that it may take; else the client's.
            max_cost: USD that it may cost; the server's default is 1.0.
            context: More for it to know, as JSON types.
            model: ``"haiku"``, ``"sonnet"``, ``"opus"`` or a full model id; the server chooses when left out.
            working_directory: Where it works, inside the server's workspace.
            idempotency_key: Calls with the same key are one task; new for each call when left out.

        Raises:
            InvalidRequestError: An argument is out of range; nothing was sent.
            TimeoutError: It ran past its timeout; ``task`` has what there is.
            CostExceededError: It was ended at ``max_cost``; ``task`` has what there is.
            ClaudeAPIError: Any other way in which the call failed.
        """
        order = _calls.task_order(
            self._config,
            description=description,
            allow_tools=allow_tools,
            allow_agents=allow_agents,
            allow_skills=allow_skills,
            timeout=timeout,
            max_cost=max_cost,
            context=context,
            model=model,
            working_directory=working_directory,
            idempotency_key=idempotency_key,
        )
        return self._connection.run(TaskRun(order, self._connection.shared).execute())

    @sealed
    def stream_task(
        self,
        description: str,
        allow_tools: Sequence[str] | None = None,
        allow_agents: Sequence[str] | None = None,
        allow_skills: Sequence[str] | None = None,
        timeout: float | None = None,
        max_cost: float | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        model: str | None = None,
        working_directory: str | None = None,
        idempotency_key: str | None = None,
    ) -> Generator[TaskEvent, None, None]:
        """Run an agentic task and give its events as they come, the ``result`` event last.

        Arguments are those of :meth:`execute_task`; they are checked at once, the task is submitted with the first
        step of the loop. Each event is a dict with ``type``, ``content`` and ``timestamp``, and its type's own fields;
        types that this version does not know are passed on.

        Raises:
            StreamInterruptedError: The events ended before the task did.
            ClaudeAPIError: As :meth:`execute_task`, also for a task that ends with an ``error`` event.
        """
        order = _calls.task_order(
            self._config,
            description=description,
            allow_tools=allow_tools,
            allow_agents=allow_agents,
            allow_skills=allow_skills,
            timeout=timeout,
            max_cost=max_cost,
            context=context,
            model=model,
            working_directory=working_directory,
            idempotency_key=idempotency_key,
        )
        return self._connection.stream(TaskRun(order, self._connection.shared).stream())

    @sealed
    def submit_task(
        self,
        description: str,
        allow_tools: Sequence[str] | None = None,
        allow_agents: Sequence[str] | None = None,
        allow_skills: Sequence[str] | None = None,
        timeout: float | None = None,
        max_cost: float | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        model: str | None = None,
        working_directory: str | None = None,
        idempotency_key: str | None = None,
    ) -> TaskHandle:
        """Submit an agentic task, and return as soon as the server has it.

        Arguments and exceptions are those of :meth:`execute_task`. Use the handle in a ``with``: leaving it early
        cancels the task, unless it was detached.
        """
        order = _calls.task_order(
            self._config,
            description=description,
            allow_tools=allow_tools,
            allow_agents=allow_agents,
            allow_skills=allow_skills,
            timeout=timeout,
            max_cost=max_cost,
            context=context,
            model=model,
            working_directory=working_directory,
            idempotency_key=idempotency_key,
        )
        run = TaskRun(order, self._connection.shared)
        self._connection.run(run.submit())
        return TaskHandle(self._connection, run)

    @sealed
    def recover(self) -> list[TaskHandle]:
        """Find the tasks that the journal has as unfinished, such as those of a process that has crashed.

        What the server never confirmed is submitted once more with its own key, so that it runs once. Tasks that have
        ended meanwhile are among the handles; those that the server never took, or does not know, are not. A journal
        that another living process writes to has that one's tasks too: detach their handles.

        Raises:
            ConfigurationError: This client has no journal.
            ClaudeAPIError: The server cannot be asked at the moment. The journal still has all of them: call again.
        """
        deadline = time.monotonic() + self._config.timeout
        handles = []
        for run, task_id in _calls.unfinished(self._connection.shared):
            if self._connection.run(run.recover(task_id, deadline)):
                handles.append(TaskHandle(self._connection, run))
        return handles

    @contextmanager
    def budget(self, usd: float) -> Iterator[Budget]:
        """A budget that all calls of this client, from any thread, count against until its ``with`` is left.

        What a call may cost at most is reserved before it is sent: a task's ``max_cost``, 1.0 USD when left out, and
        for a completion its longest reply at the model's price. A call that the budget cannot bear raises
        CostExceededError with ``estimated_cost``, and nothing is sent. Calls whose cost stays unknown stay reserved.

        Args:
            usd: USD that may be spent.
        """
        budget = Budget(usd)
        self._connection.shared.ledger.open(budget)
        try:
            yield budget
        finally:
            self._connection.shared.ledger.close(budget)

    @sealed
    def get_task(self, task_id: str) -> AgenticTaskResponse:
        """A task as it stands. Raises NotFoundError if the server does not know it."""
        return self._connection.run(_calls.get_task_by_id(self._config, task_id))

    @sealed
    def cancel_task(self, task_id: str) -> AgenticTaskResponse:
        """Cancel a task and wait for its end; one that has ended stays as it is. Raises NotFoundError."""
        return self._connection.run(_calls.cancel_task_by_id(self._config, task_id))

    @sealed
    def list_tasks(
        self, status: str | None = None, *, page_size: int | None = None
    ) -> Generator[AgenticTaskResponse, None, None]:
        """All tasks of this key, newest first; pages are asked for as they are needed.

        Args:
            status: Only tasks with this status.
            page_size: Tasks for each request, 1 to 100.
        """
        return self._connection.stream(_calls.list_tasks(self._config, status=status, page_size=page_size))

    @sealed
    def list_models(self) -> list[ModelInfo]:
        """The models that may be named, with their prices and limits."""
        return self._connection.run(_calls.models(self._config))

    @sealed
    def get_usage(self, period: str = "month") -> UsageReport:
        """Tokens and cost of this key in the ``day``, ``week`` or ``month`` up to now."""
        return self._connection.run(_calls.usage(self._config, period))

    @sealed
    def get_capabilities(self) -> Capabilities:
        """The tools, agents and skills that this key may use."""
        return self._connection.run(_calls.capabilities(self._config))

    @sealed
    def get_health(self) -> Health:
        """Whether the server is up, and what it runs."""
        return self._connection.run(_calls.health(self._config))
