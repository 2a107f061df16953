"""Base URLs are read as httpx reads them, most of them without it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from claude_code_client import ConfigurationError
from claude_code_client._transport.base_url import BaseUrl, _parse_any, parse_base_url

PLAIN = [
    "http://127.0.0.1:8123/v1",
    "http://localhost",
    "https://api.example.com/v1/",
    "https://api.example.com:443/claude-code/v1",
    "https://a-1.example:8080",
    "http://127.0.0.1:54321/v1",
]


@pytest.mark.slow
@pytest.mark.parametrize("url", PLAIN)
def test_plain_urls_need_no_httpx(url: str) -> None:
    program = (
        "import sys; from claude_code_client import ClaudeClient; ClaudeClient('key', sys.argv[1]).close();"
        "assert 'httpx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, url], check=True, timeout=30)


_labels = st.text("ab1-xn.", min_size=1, max_size=8) | st.sampled_from(
    ["localhost", "127.0.0.1", "256.1.1.1", "[::1]", "ä.de"]
)


@pytest.mark.slow
@settings(max_examples=150)
@given(
    st.sampled_from(["http", "https", "HTTP", "ftp"]),
    st.lists(_labels, min_size=1, max_size=3).map(".".join),
    st.sampled_from(["", ":", ":0", ":80", ":443", ":0080", ":8123", ":65535", ":99999"]),
    st.text("/.v1%~A ?#", max_size=8).map(lambda path: path and f"/{path}"),
)
@example("http", "a" * 63 + ".example", ":80", "/v1/")
@example("http", "a" * 64 + ".example", "", "")
@example("http", "xn--mller-kva.example", "", "//")
def test_urls_are_read_as_httpx_reads_them(scheme: str, host: str, port: str, path: str) -> None:
    url = f"{scheme}://{host}{port}{path}"
    assert _outcome(parse_base_url, url) == _outcome(_parse_any, url)


def _outcome(parse: Callable[[str], BaseUrl], url: str) -> BaseUrl | str:
    try:
        return parse(url)
    except ConfigurationError as error:
        return str(error)
