"""TLS of the server: its certificate and key, read once at the start."""

from __future__ import annotations

import ssl
from pathlib import Path


def load_tls(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """Return the TLS context for a certificate chain and its key, which may be in one file. Raise ValueError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password, OpenSSL would ask for it in the terminal.
        context.load_cert_chain(certificate, key, password="")
    except FileNotFoundError:
        missing = certificate if key is None or not certificate.exists() else key
        raise ValueError(f"there is no file {missing} (--tls-cert, --tls-key)") from None
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        files = f"{certificate}" if key is None else f"{certificate} and {key}"
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise ValueError(
            f"cannot use the certificate and key in {files} (--tls-cert, --tls-key): {reason}; they must be PEM files"
            " that belong together, the key without a password"
        ) from None
    return context
