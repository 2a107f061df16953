"""Client class: settings, embedded server, budgets, pickling, and the methods of the other modules."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from ..._config import Config, override, resolve
from ..._operations.client_state import ClientState, new_state
from ..._transport.async_connection import AsyncConnection
from ..artifact_reader import attach_reader
from ..options import ClientOptions, expand_options, hooks_of
from ..pickling import dump, load_config, load_state, register
from ..tracebacks import strip_tracebacks, strip_tracebacks_async
from .account import AsyncAccount
from .artifacts import AsyncArtifacts
from .batches import AsyncBatches
from .completions import AsyncCompletions
from .spending import AsyncSpending
from .tasks import AsyncTasks

if TYPE_CHECKING:
    import ssl

    from ..endpoints import AsyncEndpoints
    from ..local_server import LocalServer


class AsyncClaudeClient(AsyncCompletions, AsyncTasks, AsyncBatches, AsyncArtifacts, AsyncAccount, AsyncSpending):
    """Client of the Claude Code API. Create one and share it between calls.

    Leaving its ``async with`` closes the connections. A pickled client carries its settings, but no key: where it is
    unpickled it uses ``CLAUDE_API_KEY``. A pickle carries no hooks either. Copies have their own connections, and share
    budgets, usage, journal, cache and hooks.

    Methods raise subclasses of :class:`ClaudeAPIError`; ``claude_code_client.errors`` shows them as a tree.
    """

    @strip_tracebacks
    @expand_options(ClientOptions)
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
        max_response_bytes: int | None = None,
        allow_insecure_http: bool = False,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        """Create a client. Sends nothing.

        Args:
            api_key: API key. Default: ``CLAUDE_API_KEY``.
            base_url: URL of the API. Default: ``CLAUDE_BASE_URL``, else the hosted service.
            timeout: Seconds for a whole call. Default: ``CLAUDE_TIMEOUT``, else 300.
            max_retries: Retries of a call that is safe to repeat. Default: 3.
            {options}
            stream_read_timeout: Seconds without a byte after which the connection of a stream or a download counts as
                dead and is replaced. Default: 45. The server sends a ping every 15 seconds.
            headers: Additional headers for every request.
            journal: File that records tasks before they are sent, so that :meth:`recover` finds them after a crash.
                It contains prompts and is readable only by its owner.
            max_response_bytes: Largest response to accept, in bytes after decompression, other than streams and
                downloads, which have limits of their own. Default: 256 MiB.
            allow_insecure_http: Accept an ``http://`` base_url on another machine, which exposes the key to the
                network.
            proxy: URL of an HTTP or SOCKS proxy, also for hosts in NO_PROXY. Default: the environment's.
            ssl_context: TLS of all connections, with a private CA or a client certificate for example. Default:
                certifi's certificates, or those of ``SSL_CERT_FILE`` or ``SSL_CERT_DIR``.

        Raises:
            AuthenticationError: No usable key.
            ConfigurationError: Another argument or environment variable is invalid.
        """
        config = resolve(
            api_key=api_key,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            stream_read_timeout=stream_read_timeout,
            max_response_bytes=max_response_bytes,
            headers=headers,
            allow_insecure_http=allow_insecure_http,
            proxy=proxy,
            ssl_context=ssl_context,
        )
        self._connect(config, new_state(journal, hooks_of(options, may_be_async=True), options.get("cache")))

    def _connect(self, config: Config, state: ClientState) -> None:
        self._use(config, AsyncConnection(config, state, attach=attach_reader))

    def _use(self, config: Config, connection: AsyncConnection) -> None:
        self._config = register(config)
        self._connection = connection
        self._server: LocalServer | None = None

    @classmethod
    @strip_tracebacks
    @expand_options(ClientOptions)
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
        allow_home_workspace: bool = False,
        prices: str | os.PathLike[str] | None = None,
        sandbox: bool = False,
        **options: Unpack[ClientOptions],
    ) -> Self:
        """Start the embedded server on a free loopback port and return a client of it. ``close()`` stops both.

        Requires the extra ``server``: ``pip install 'claude-code-client[server]'``. Blocks until the server is ready;
        in a busy event loop, call it as ``await asyncio.to_thread(AsyncClaudeClient.local)``.

        Args:
            {options}
            workspace: Directory that tasks work in. File tools stay inside it; Bash runs with your permissions.
            upstream: Where the model is: ``"anthropic"``, the URL of a Messages-compatible API, or ``"offline"``, a
                rule-based stand-in. Default: ``"anthropic"`` if there is a key for it, else ``"offline"``.
            anthropic_api_key: Key for the upstream, seen only by the server. Default: ``ANTHROPIC_API_KEY``.
            model: Model for calls that name none.
            state_dir: Directory for tasks and events, outside the workspace. Default: a temporary directory.
            timeout: Seconds for a whole call, as for the client.
            max_retries: Retries, as for the client.
            journal: Journal file, as for the client. Useful together with a ``state_dir``, which outlives the server.
            allow_home_workspace: Allow a workspace that contains your home directory, such as ``/``: tasks can then
                read and change everything in it.
            prices: TOML or JSON file with the prices of models that the server does not know; it refuses other models.
            sandbox: Run each task in namespaces of its own, in which it reaches the workspace and the model only. Needs
                Linux and bubblewrap.

        Raises:
            ConfigurationError: The server did not start; the message says why.
        """
        from ..local_server import LocalServer

        server = LocalServer(
            workspace=workspace,
            upstream=upstream,
            anthropic_api_key=anthropic_api_key,
            model=model,
            state_dir=state_dir,
            allow_home_workspace=allow_home_workspace,
            prices=prices,
            sandbox=sandbox,
        )
        client = cls(
            api_key=server.api_key,
            base_url=server.base_url,
            timeout=timeout,
            max_retries=max_retries,
            journal=journal,
            **options,
        )
        client._server = server
        if options.get("cache") is not None:
            from ..._operations.response_cache import local_scope

            client._connection.state.cache_scope = local_scope(server.upstream, upstream, model)
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __getstate__(self) -> dict[str, Any]:
        return dump(self._config, self._connection.state)

    def __setstate__(self, pickled: dict[str, Any]) -> None:
        self._connect(load_config(pickled), load_state(pickled))

    def __copy__(self) -> Self:
        # A copy has its own connections, but shares budgets and journal.
        other = type(self).__new__(type(self))
        other._connect(self._config, self._connection.state)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._config.base_url!r})"

    @strip_tracebacks_async
    async def close(self) -> None:
        """Close all connections, and stop the server that ``local()`` started. Can be called more than once."""
        await self._connection.aclose()
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)

    @property
    def base_url(self) -> str:
        """URL of the API."""
        return self._config.base_url

    @property
    def api(self) -> AsyncEndpoints:
        """``client`` argument for the generated endpoints in ``claude_code_api.api``, on this client's connections."""
        from ..endpoints import AsyncEndpoints

        return AsyncEndpoints(self._connection)

    @strip_tracebacks
    def with_options(
        self,
        *,
        timeout: float | None = None,
        max_retries: int | None = None,
        stream_read_timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
        max_response_bytes: int | None = None,
    ) -> Self:
        """Return a client with other options on the same connections. Closing it leaves them open.

        Args:
            timeout: Seconds for a whole call.
            max_retries: Retries of a call that is safe to repeat.
            stream_read_timeout: Seconds without a byte after which the connection of a stream or a download counts as
                dead.
            headers: Headers to add.
            max_response_bytes: Largest response to accept, in bytes, other than streams and downloads.

        Raises:
            ConfigurationError: An argument is invalid.
        """
        config = override(
            self._config,
            timeout=timeout,
            max_retries=max_retries,
            stream_read_timeout=stream_read_timeout,
            max_response_bytes=max_response_bytes,
            headers=headers,
        )
        other = type(self).__new__(type(self))
        other._use(config, self._connection.reconfigured(config))
        return other
