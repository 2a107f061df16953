"""Response cache: replies to completions that were requested before, on the disk. No I/O of its own."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
from claude_code_api import models as generated

from .._config import check_timeout, is_secret
from .._files.cache_database import CacheDatabase
from .._wire import responses
from ..errors import ConfigurationError
from ..models import CompletionResponse
from .effects import Operation, RunBlocking

logger = logging.getLogger("claude_code_client")

_FILE_NAME: Final = "responses-1.db"
"""Name of the database, with the version of its schema and of the entries' form."""
_LEAST_BYTES: Final = 2**16
_MAX_BYTES: Final = 256 * 2**20
_MAX_AGE: Final = 7 * 24 * 3600.0


class ResponseCache:
    """Cache of completions on the disk, for ``cache=`` of a client. Clients, threads and processes may share it.

    Completions that were requested before are answered from it. Its file has replies in plain text, prompts as hashes
    only, and no keys; only its owner may read it.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, max_bytes: int = _MAX_BYTES, max_age: float = _MAX_AGE
    ) -> None:
        """Create the directory, if there is none.

        Args:
            directory: Directory on a local disk. To empty the cache, delete it.
            max_bytes: Largest size of the file, from 64 KiB. The oldest replies make room. Default: 256 MiB.
            max_age: Seconds after which a reply is not used any more. Default: 7 days.

        Raises:
            ConfigurationError: An argument is invalid, or the directory cannot be created.
        """
        if type(max_bytes) is not int or max_bytes < _LEAST_BYTES:
            raise ConfigurationError(f"max_bytes must be an int of {_LEAST_BYTES} or more.", param="max_bytes")
        max_age = check_timeout(max_age, "max_age")
        problem = None
        try:
            self._directory = Path(directory).absolute()
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (OSError, TypeError, ValueError) as error:
            problem = error.strerror if isinstance(error, OSError) else str(error)
        if problem is not None:
            raise ConfigurationError(f"Cannot use the directory of the response cache: {problem}.", param="directory")
        self._database = CacheDatabase(self._directory / _FILE_NAME, max_bytes, max_age)

    @property
    def directory(self) -> Path:
        """Absolute path of the directory."""
        return self._directory

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._directory)!r})"


def check_cache(cache: object) -> ResponseCache:
    """Return what a client was given as its cache. Raises ConfigurationError if it is something else."""
    if not isinstance(cache, ResponseCache):
        raise ConfigurationError(f"cache must be a ResponseCache, not {type(cache).__name__}.", param="cache")
    return cache


def local_scope(upstream: str, upstream_argument: str | None, model: str | None) -> str:
    """Return a name for embedded servers that reply alike. Their ports differ; a URL of an upstream may be secret."""
    return f"local:{hashlib.sha256(repr((upstream, upstream_argument, model)).encode()).hexdigest()}"


class CacheEntry:
    """Place of one completion in a cache.

    Args:
        cache: The cache.
        scope: Server that would write the reply.
        body: Body of the request, with the fields of ``extra_body``.
        headers: Headers that the caller adds to the request. They may change the reply, unless they are credentials.
    """

    def __init__(
        self, cache: ResponseCache, *, scope: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> None:
        self._database = cache._database
        named = {name.lower(): value for name, value in headers.items() if not is_secret(name)}
        identity = json.dumps([scope, body, named], sort_keys=True, separators=(",", ":"))
        self._key = hashlib.sha256(identity.encode()).digest()

    def read(self) -> Operation[CompletionResponse | None]:
        """Return the completion that the cache has, marked as cached; None if it has none."""
        stored: bytes | None = yield RunBlocking(partial(self._database.read, self._key))
        if stored is None:
            return None
        try:
            completion = responses.completion(generated.CompletionResponse.from_dict(json.loads(stored)))
        except responses.PARSE_ERRORS:
            logger.warning("An entry of the response cache %s is damaged; it is ignored.", self._database.path)
            return None
        return attrs.evolve(completion, cached=True)

    def write(self, completion: CompletionResponse) -> Operation[None]:
        """Store a completion."""
        yield RunBlocking(partial(self._database.write, self._key, json.dumps(completion.to_dict()).encode()))
