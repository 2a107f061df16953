"""Files of artifacts, opened only if they are what the task left: hashed again only if their version is unknown."""

from __future__ import annotations

import hashlib
import os
import threading
from io import BufferedReader
from pathlib import Path
from typing import Final

from ..domain.entities import ArtifactFile
from ..runtime.files import file_version, open_below

_MAX_KNOWN: Final = 1_000
_known: dict[tuple[int, ...], str] = {}
"""SHA-256 of files that were hashed again, by device and version."""
_hashing: Final = threading.Lock()
"""Held while a file is hashed, so that requests for parts of one file hash it once."""


def open_verified(root: Path, artifact: ArtifactFile) -> BufferedReader | None:
    """Open the file of an artifact; return None if it is gone or was changed. Blocking: use a thread."""
    try:
        file = open_below(root, artifact.path)
    except (OSError, ValueError):
        return None
    try:
        if _is_unchanged(file, artifact):
            return file
    except OSError:
        pass
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def _is_unchanged(file: BufferedReader, artifact: ArtifactFile) -> bool:
    stat = os.fstat(file.fileno())
    version = file_version(stat)
    if stat.st_size != artifact.size_bytes:
        return False
    return version == artifact.version or _sha256(file, (stat.st_dev, *version)) == artifact.sha256


def _sha256(file: BufferedReader, key: tuple[int, ...]) -> str:
    with _hashing:
        if key not in _known:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            stat = os.fstat(file.fileno())
            if (stat.st_dev, *file_version(stat)) != key:
                return digest
            while len(_known) >= _MAX_KNOWN:
                del _known[next(iter(_known))]
            _known[key] = digest
        return _known[key]
