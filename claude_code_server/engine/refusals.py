"""Log of refused accesses: a line for each tool call of a task that Claude Code refused, without contents."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from .event_reader import EngineEvent

_log = logging.getLogger(__name__)
_MAX_LINES: Final = 100
"""Lines for one task, which may be refused as often as it likes."""
_MAX_SHOWN: Final = 100
_PATHS: Final = ("file_path", "notebook_path", "path", "subagent_type", "skill", "url")
"""Arguments that say what the task wanted to reach, without its content."""
_REASONS: Final = (
    ("No such tool available", "the task may not use this tool"),
    ("--restricted confines", "outside the working directory"),
    ("names a device or process file", "a device or process file"),
    ("exists but is not a regular file", "a device or process file"),
    ("Permission to use", "not permitted"),
    ("Agent type '", "the task may not use this agent"),
    ("Unknown skill", "the task may not use this skill"),
    ("skills allowlist", "the task may not use this skill"),
)
_OTHER: Final = "not permitted"


class RefusalLog:
    """Watches the events of one task and logs refusals."""

    def __init__(self, task_id: str) -> None:
        self._task_id = task_id
        self._targets: dict[str, str] = {}
        self._logged: set[str] = set()

    def watch(self, event: EngineEvent) -> None:
        """Log the event if it is a refusal."""
        fields = event.fields
        call = str(fields.get("call_id"))
        if event.type == "tool_result":
            if fields["status"] == "error" and (reason := _reason(str(fields["result"]))) is not None:
                self._write(call, str(fields["tool"]), self._targets.get(call, ""), reason)
            self._targets.pop(call, None)
        elif event.type == "tool_call":
            self._targets[call] = _target(fields["arguments"])
        elif event.type in ("agent_spawn", "skill_invoke"):
            self._targets[call] = str(fields.get("agent") or fields.get("skill") or "")

    def finish(self, denials: Iterable[Any]) -> None:
        """Log the refusals among Claude Code's own list, at the end of a task, that no event has shown."""
        for denial in denials:
            if isinstance(denial, Mapping) and (call := str(denial.get("tool_use_id"))) not in self._logged:
                arguments = denial.get("tool_input")
                target = _target(arguments) if isinstance(arguments, Mapping) else ""
                self._write(call, str(denial.get("tool_name")), target, _OTHER)

    def _write(self, call: str, tool: str, target: str, reason: str) -> None:
        self._logged.add(call)
        if len(self._logged) > _MAX_LINES:
            return
        of = f" of {target[:_MAX_SHOWN]!r}" if target else ""
        _log.warning("task %s: refused %.*s%s: %s", self._task_id, _MAX_SHOWN, tool, of, reason)
        if len(self._logged) == _MAX_LINES:
            _log.warning("task %s: further refusals are not logged", self._task_id)


def _reason(text: str) -> str | None:
    return next((reason for part, reason in _REASONS if part in text[:2000]), None)


def _target(arguments: Mapping[str, Any]) -> str:
    return next((str(arguments[name]) for name in _PATHS if arguments.get(name)), "")
