"""Keyword arguments that several methods share, each written once (PEP 692).

A method collects the arguments with ``**options: Unpack[TaskOptions]``, and ``expand_options`` shows them in its
signature and docstring. A field that the contract's request body gains needs a line in the class and one in its
docstring, no other edit.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypedDict, TypeVar

from .._transport.foreign_errors import gate
from ..models import Message

if TYPE_CHECKING:
    from .._operations.hooks import EventInfo, Hooks, RequestInfo, ResponseInfo
    from .._operations.response_cache import ResponseCache

P = ParamSpec("P")
T = TypeVar("T")

_MARK: Final = "{options}"
_INDENT: Final = " " * 4


class ClientOptions(TypedDict, total=False):
    """Options that clients of all servers share.

    Args:
        cache: Cache on the disk, from which equal completions are answered. Default: none.
        on_request: Called with a ``RequestInfo`` before each HTTP request, retries included. An exception that it
            raises ends the call. Of an AsyncClaudeClient, this and the next two may be coroutine functions.
        on_response: Called with a ``ResponseInfo`` for each outcome of a request. Its exceptions are logged.
        on_event: Called with an ``EventInfo`` for each event of a stream that is read. Its exceptions are logged.
    """

    cache: ResponseCache | None
    on_request: Callable[[RequestInfo], object] | None
    on_response: Callable[[ResponseInfo], object] | None
    on_event: Callable[[EventInfo], object] | None


def hooks_of(options: ClientOptions, *, may_be_async: bool = False) -> Hooks | None:
    """Return the hooks among the options of a client. Raises InvalidRequestError for what cannot be called."""
    given = (options.get("on_request"), options.get("on_response"), options.get("on_event"))
    if given == (None, None, None):
        return None
    from .._operations.hooks import hooks  # which most programs do without

    return hooks(*given, may_be_async=may_be_async)


class TaskOptions(TypedDict, total=False):
    """Options of ``execute_task()``, ``stream_task()`` and ``submit_task()``.

    Args:
        model: ``"haiku"``, ``"sonnet"``, ``"opus"`` or a full model ID. Default: chosen by the server.
        working_directory: Directory to work in, inside the server's workspace. Default: the workspace.
        idempotency_key: Calls with the same key run one task. Default: a new key for each call.
        extra_body: Fields to add to the body of the submit, as JSON types: those for which there is no parameter yet.
        extra_headers: Headers to add to the submit. Values of headers whose names mean secrets are not logged.
    """

    model: str | None
    working_directory: str | None
    idempotency_key: str | None
    extra_body: Mapping[str, Any] | None
    extra_headers: Mapping[str, str] | None


class CompletionOptions(TypedDict, total=False):
    """Options of ``complete()`` and ``stream_complete()``.

    Args:
        messages: A conversation in place of ``prompt``: ``[{"role": "user", "content": "…"}, …]``.
        stop: Strings that end the reply.
        timeout: Seconds for the whole call. Default: the client's timeout.
        idempotency_key: Calls with the same key are run, and billed, once. Default: a new key for each call.
        extra_body: Fields to add to the body of the request, as JSON types: those for which there is no parameter yet.
        extra_headers: Headers to add to the request. Values of headers whose names mean secrets are not logged.
    """

    messages: Sequence[Message] | None
    stop: Sequence[str] | None
    timeout: float | None
    idempotency_key: str | None
    extra_body: Mapping[str, Any] | None
    extra_headers: Mapping[str, str] | None


class SharedCompletionOptions(TypedDict, total=False):
    """Parameters of all items of ``map_completions()``.

    Args:
        model: Model. This and the next seven parameters are those of :meth:`complete`, for items that have none of
            their own.
        max_tokens: Largest number of output tokens.
        temperature: Sampling temperature.
        top_p: Nucleus sampling.
        stop: Strings that end a reply.
        timeout: Seconds for one call. Default: the client's timeout.
        extra_body: Fields to add to the body of each request.
        extra_headers: Headers to add to each request.
    """

    model: str | None
    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    stop: Sequence[str] | None
    timeout: float | None
    extra_body: Mapping[str, Any] | None
    extra_headers: Mapping[str, str] | None


class CompletionItem(SharedCompletionOptions, total=False):
    """Item of ``map_completions()``: parameters of ``complete()``, and an ID of the caller's."""

    prompt: str | None
    messages: Sequence[Message] | None
    custom_id: str | None
    idempotency_key: str | None


class SharedTaskOptions(TypedDict, total=False):
    """Parameters of all items of ``map_tasks()``.

    Args:
        allow_tools: Tools that the tasks may use. This and the next ten parameters are those of
            :meth:`execute_task`, for items that have none of their own.
        allow_agents: Agents that the tasks may use.
        allow_skills: Skills that the tasks may use.
        timeout: Seconds that one task may take. Default: the client's timeout.
        max_cost: USD that one task may cost. Default: 1.0.
        context: Further input for the tasks, as JSON types.
        model: Model of the tasks.
        working_directory: Directory to work in, inside the server's workspace.
        stall_timeout: Seconds without an event after which a task is cancelled. Default: off.
        extra_body: Fields to add to the body of each submit.
        extra_headers: Headers to add to each submit.
    """

    allow_tools: Sequence[str] | None
    allow_agents: Sequence[str] | None
    allow_skills: Sequence[str] | None
    timeout: float | None
    max_cost: float | None
    context: Mapping[str, Any] | None
    model: str | None
    working_directory: str | None
    stall_timeout: float | None
    extra_body: Mapping[str, Any] | None
    extra_headers: Mapping[str, str] | None


class TaskItem(SharedTaskOptions, total=False):
    """Item of ``map_tasks()``: parameters of ``execute_task()``, and an ID of the caller's."""

    description: str | None
    custom_id: str | None
    idempotency_key: str | None


def task_fields(
    description: str,
    allow_tools: Sequence[str] | None,
    allow_agents: Sequence[str] | None,
    allow_skills: Sequence[str] | None,
    timeout: float | None,
    max_cost: float | None,
    context: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the positional arguments of the task methods by name."""
    return {
        "description": description,
        "allow_tools": allow_tools,
        "allow_agents": allow_agents,
        "allow_skills": allow_skills,
        "timeout": timeout,
        "max_cost": max_cost,
        "context": context,
    }


def expand_options(options: type) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a method that takes ``**options: Unpack[options]``.

    Each option is listed in the method's signature and docstring, and an unknown one raises TypeError.
    """

    def decorate(method: Callable[P, T]) -> Callable[P, T]:
        signature = _expanded(inspect.signature(method), options)
        known = signature.parameters.keys()

        @functools.wraps(method)
        @gate
        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            if kwargs.keys() <= known:
                return method(*args, **kwargs)
            unknown = next(name for name in kwargs if name not in known)
            # A crash reporter shows the variables of this frame, and these may be prompts.
            del args, kwargs
            raise TypeError(f"{method.__name__}() got an unexpected keyword argument {unknown!r}")

        checked.__signature__ = signature  # type: ignore[attr-defined]
        if method.__doc__ is not None:
            # Without the source's indentation, which Python 3.13 has removed already.
            checked.__doc__ = inspect.cleandoc(method.__doc__).replace(_MARK, _documentation(options))
        return checked

    return decorate


def _expanded(signature: inspect.Signature, options: type) -> inspect.Signature:
    parameters = signature.parameters.values()
    return signature.replace(
        parameters=[
            *(each for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD),
            *_parameters(options),
            *(each for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY),
        ]
    )


def _parameters(options: type) -> list[inspect.Parameter]:
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_written(annotation))
        for name, annotation in options.__annotations__.items()
    ]


def _written(annotation: Any) -> Any:
    """Return an annotation as its source text, like those of the other parameters."""
    return getattr(annotation, "__forward_arg__", annotation)


def _documentation(options: type) -> str:
    """Return the ``Args:`` lines of a class's docstring, indented like those of a method."""
    text = inspect.cleandoc(options.__doc__ or "").partition("Args:\n")[2]
    lines = [line.removeprefix("    ") for line in text.splitlines()]
    return f"\n{_INDENT}".join(lines)
