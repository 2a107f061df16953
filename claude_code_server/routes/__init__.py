"""What each operation of the contract does, by operationId. An operation that is missing here answers 501."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response

from claude_code_server.call import Call

from . import account, completions, tasks

Handler = Callable[[Call], Awaitable[Response]]

HANDLERS: Mapping[str, Handler] = {
    handler.__name__: handler
    for handler in (
        completions.create_completion,
        completions.stream_completion,
        tasks.create_task,
        tasks.list_tasks,
        tasks.get_task,
        tasks.stream_task_events,
        tasks.cancel_task,
        tasks.download_artifact,
        account.list_models,
        account.get_usage,
        account.get_capabilities,
        account.get_health,
    )
}
