"""Client methods for plain completions."""

from __future__ import annotations

from typing import Unpack

from ..._operations import completions
from ..._operations.completions import CompletionRequest
from ..._wire.extras import call_extras
from ...models import CompletionResponse
from ..options import CompletionOptions, expand_options
from ..tracebacks import strip_tracebacks, strip_tracebacks_async
from .base import AsyncBase
from .streams import AsyncStream, open_stream


class AsyncCompletions(AsyncBase):
    """Plain completions, whole or streamed."""

    @strip_tracebacks_async
    @expand_options(CompletionOptions)
    async def complete(
        self,
        prompt: str | None = None,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        **options: Unpack[CompletionOptions],
    ) -> CompletionResponse:
        """Return the model's reply to a prompt or a conversation.

        Args:
            prompt: The input text.
            model: ``"haiku"``, ``"sonnet"``, ``"opus"`` or a full model ID. Default: chosen by the server.
            max_tokens: Largest number of output tokens, from 1.
            temperature: Sampling temperature, 0 to 2. Ignored by some models, with a message in ``warnings``.
            top_p: Nucleus sampling, 0 to 1. Ignored by some models, with a message in ``warnings``.
            {options}

        Raises:
            InvalidRequestError: An argument is invalid; nothing was sent.
            CostExceededError: An open budget does not allow the call; nothing was sent.
            ClaudeAPIError: The call failed in another way.
        """
        request = self._request(
            prompt, options, model=model, max_tokens=max_tokens, temperature=temperature, top_p=top_p
        )
        return await self._connection.run(completions.complete(request, self._config, self._connection.state))

    @strip_tracebacks
    @expand_options(CompletionOptions)
    def stream_complete(
        self,
        prompt: str | None = None,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        **options: Unpack[CompletionOptions],
    ) -> AsyncStream[str | CompletionResponse]:
        """Stream the model's reply: its text in pieces, each a str, then the ``CompletionResponse``.

        Takes the arguments of :meth:`complete`.

        Raises:
            StreamInterruptedError: The stream ended before the reply did.
            ClaudeAPIError: As for :meth:`complete`.
        """
        request = self._request(
            prompt, options, model=model, max_tokens=max_tokens, temperature=temperature, top_p=top_p
        )
        operation = completions.stream_complete(request, self._config, self._connection.state)
        return open_stream(self._connection, operation)

    def _request(self, prompt: str | None, options: CompletionOptions, **fields: object) -> CompletionRequest:
        timeout, key = options.pop("timeout", None), options.pop("idempotency_key", None)
        extras = call_extras(options.pop("extra_body", None), options.pop("extra_headers", None))
        return completions.completion_request(
            self._config, {**fields, **options}, prompt=prompt, timeout=timeout, idempotency_key=key, extras=extras
        )
