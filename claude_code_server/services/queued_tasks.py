"""Tasks that waited, perhaps since before a restart: what is checked again before they run."""

from __future__ import annotations

from ..domain.engine_protocol import TaskSpec
from ..domain.entities import Task
from ..domain.errors import ApiError, invalid_request
from ..domain.model_catalog import Tariff
from ..domain.settings import Settings
from .auth import ApiKeys
from .messages import priced_model


class QueuedTaskCheck:
    """Check of queued tasks: the server's settings may have changed since they were submitted."""

    def __init__(self, settings: Settings, api_keys: ApiKeys, tariff: Tariff) -> None:
        self._settings = settings
        self._api_keys = api_keys
        self._tariff = tariff

    def __call__(self, task: Task, spec: TaskSpec) -> None:
        """Raise ApiError if this server would not accept the task."""
        if not self._api_keys.accepts(task.owner):
            message = "The server does not accept the API key of this task any more. Submit it with another key."
            raise ApiError(401, "authentication_error", message)
        workspace = self._settings.workspace.resolve()
        if not spec.working_directory.is_relative_to(workspace):
            raise invalid_request(
                "The server was restarted with another workspace, which does not contain the task's working directory."
                " Submit the task again to run it there."
            )
        permitted = self._settings.tools
        for tool in spec.tools:
            if permitted is not None and tool not in permitted:
                raise ApiError(403, "permission_error", f"The server does not permit the tool {tool} any more.")
        priced_model(spec.model, None, self._tariff, "model")
