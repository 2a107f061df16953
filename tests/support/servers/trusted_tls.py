"""TLS of servers that clients trust, for the length of a test."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from claude_code_client._transport import http_options


@contextmanager
def trusted_tls(host: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """Yield the TLS context of a server with this name."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    http_options._tls_context.cache_clear()
    yield context
    http_options._tls_context.cache_clear()
