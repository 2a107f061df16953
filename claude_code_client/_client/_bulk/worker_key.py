"""API keys of workers: read where they are used, and never sent there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from ..._config import resolve
from ...errors import AuthenticationError, ConfigurationError

WorkerKey = str | os.PathLike[str]
"""Name of an environment variable of the worker, or path of a file there."""

_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*")
_FILE: Final = "file:"
_DEFAULT: Final = "CLAUDE_API_KEY"


def check_worker_key(value: WorkerKey | None) -> str | None:
    """Return where workers find their key, as text. Raises ConfigurationError, without the value: it may be a key."""
    if value is None:
        return None
    if isinstance(value, str):
        if _VARIABLE.fullmatch(value):
            return value
        problem = "a str must be the name of an environment variable, in capitals"
    elif isinstance(value, os.PathLike):
        path = Path(value)
        if path.is_absolute():
            return f"{_FILE}{path}"
        problem = "the path of a file must be absolute, because workers may run in another directory"
    else:
        problem = f"it is of type {type(value).__name__}"
    raise ConfigurationError(
        f"worker_key says where workers find the API key, and never is the key: {problem}. Pass the name of an "
        'environment variable of the workers, such as "TEAM_API_KEY", or a pathlib.Path of a file on their machines.',
        param="worker_key",
    )


def read_worker_key(place: str | None) -> str:
    """Return the key of this worker. Raises AuthenticationError if there is none."""
    place = place or _DEFAULT
    name = place.removeprefix(_FILE)
    try:
        key = Path(name).read_text(encoding="utf-8") if place.startswith(_FILE) else os.environ.get(name, "")
        return resolve(api_key=key, environ={}).api_key
    except (OSError, UnicodeDecodeError, AuthenticationError) as error:
        reason = getattr(error, "strerror", None) or "there is none, or it is not a key"
    where = f"in the file {name}" if place.startswith(_FILE) else f"in its environment variable {name}"
    raise AuthenticationError(
        f"A worker found no API key {where}: {reason}. Put it there on every worker, or pass worker_key=… to say where "
        "it is. Keys are not sent to workers."
    )
