"""The asynchronous client: the synchronous one but for ``await``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..._config import Config, override, resolve
from ..._files.journal import Journal
from ..._operations.client_state import ClientState
from ..._policy.budget import Budget
from ..._transport import AsyncConnection
from ..artifact_reader import attach_reader
from ..endpoints import AsyncEndpoints
from ..pickling import dump, load_config, load_state, register
from ..tracebacks import strip_tracebacks
from .account import AsyncReads
from .artifacts import AsyncArtifacts
from .completions import AsyncCompletions
from .tasks import AsyncTasks

if TYPE_CHECKING:
    from ..._embedded.local_server import LocalServer

__all__ = ["AsyncClaudeClient"]


class AsyncClaudeClient(AsyncCompletions, AsyncTasks, AsyncArtifacts, AsyncReads):
    """A client of the Claude Code API. Make one and share it between calls.

    Every method raises a subclass of :class:`ClaudeAPIError` where it fails; ``errors`` draws the tree.
    """

    @strip_tracebacks
    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        *,
        stream_read_timeout: float | None = None,
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
            stream_read_timeout: Seconds without a byte after which the connection of a stream or a download counts as
                dead and is replaced; 45 when left out. The server sends a ping every 15.
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
            stream_read_timeout=stream_read_timeout,
            headers=headers,
            allow_insecure_http=allow_insecure_http,
        )
        self._connect(
            config,
            AsyncConnection(
                config,
                ClientState(journal=Journal(journal) if journal is not None else None),
                attach=attach_reader,
            ),
        )

    def _connect(self, config: Config, connection: AsyncConnection) -> None:
        self._config = register(config)
        self._connection = connection
        self._server: LocalServer | None = None

    @classmethod
    @strip_tracebacks
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

        Needs the extra ``server``: ``pip install 'claude-code-client[server]'``. Blocks until the server is ready; in a
        busy event loop, call it as ``await asyncio.to_thread(AsyncClaudeClient.local)``.

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
        from ..._embedded.local_server import LocalServer

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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __getstate__(self) -> dict[str, Any]:
        return dump(self._config, self._connection.state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        config = load_config(state)
        self._connect(config, AsyncConnection(config, load_state(state), attach=attach_reader))

    def __copy__(self) -> Self:
        # On connections of its own, but with the same budgets and the same journal.
        other = type(self).__new__(type(self))
        other._connect(self._config, AsyncConnection(self._config, self._connection.state, attach=attach_reader))
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._config.base_url!r})"

    async def close(self) -> None:
        """Close the connections, and stop the server that ``local()`` started. May be called again."""
        await self._connection.aclose()
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return self._config.base_url

    @property
    def api(self) -> AsyncEndpoints:
        """The ``client`` argument for the generated endpoints in ``claude_code_api.api``, on the same connections."""
        return AsyncEndpoints(self._connection)

    @strip_tracebacks
    def with_options(
        self,
        *,
        timeout: float | None = None,
        max_retries: int | None = None,
        stream_read_timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """A client with other options on the same connections; closing it leaves them open.

        Args:
            timeout: Seconds for a whole call.
            max_retries: How often a call that may be repeated safely is tried again.
            stream_read_timeout: Seconds without a byte after which the connection of a stream or a download counts as
                dead.
            headers: Headers to add.
        """
        config = override(
            self._config,
            timeout=timeout,
            max_retries=max_retries,
            stream_read_timeout=stream_read_timeout,
            headers=headers,
        )
        other = type(self).__new__(type(self))
        other._connect(config, self._connection.reconfigured(config))
        return other

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
        self._connection.state.budgets.open(budget)
        try:
            yield budget
        finally:
            self._connection.state.budgets.close(budget)
