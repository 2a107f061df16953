"""Completions, as methods of the asynchronous client."""

from __future__ import annotations

from collections.abc import Sequence

from ..._operations import completions as operations
from ...models import CompletionResponse, Message
from ..base import AsyncBase
from ..streams import AsyncStream
from ..tracebacks import strip_tracebacks, strip_tracebacks_async


class AsyncCompletions(AsyncBase):
    @strip_tracebacks_async
    async def complete(
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
        return await self._connection.run(
            operations.complete(
                operations.completion_request(
                    self._config,
                    {
                        "messages": messages,
                        "model": model,
                        "max_tokens": max_tokens,
                        "temperature": temperature,
                        "top_p": top_p,
                        "stop": stop,
                    },
                    prompt=prompt,
                    timeout=timeout,
                    idempotency_key=idempotency_key,
                ),
                self._config,
                self._connection.state,
            )
        )

    @strip_tracebacks
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
    ) -> AsyncStream[str | CompletionResponse]:
        """One reply as it is written: its text in pieces, each a str, then the ``CompletionResponse``.

        Arguments and exceptions are those of :meth:`complete`.

        Raises:
            StreamInterruptedError: The stream was cut before the reply's end.
        """
        request = operations.completion_request(
            self._config,
            {
                "messages": messages,
                "model": model,
                "max_tokens": max_tokens,
                "temperature": temperature,
                "top_p": top_p,
                "stop": stop,
            },
            prompt=prompt,
            timeout=timeout,
            idempotency_key=idempotency_key,
        )
        return self._connection.stream(operations.stream_complete(request, self._config, self._connection.state))
