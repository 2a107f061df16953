"""How a client is set up: arguments, environment, defaults."""

from __future__ import annotations

import pytest

from claude_code_client import AuthenticationError, ClaudeClient, ConfigurationError
from claude_code_client._config import resolve

KEY = "sk-proj-0123456789"


def test_arguments_go_before_the_environment_and_that_before_defaults() -> None:
    environ = {"CLAUDE_API_KEY": "sk-proj-env", "CLAUDE_BASE_URL": "https://env.example/v2", "CLAUDE_TIMEOUT": "12.5"}
    given = resolve(api_key=KEY, base_url="https://arg.example/v3", timeout=7, max_retries=0, environ=environ)
    assert (given.api_key, given.base_url, given.timeout, given.max_retries) == (KEY, "https://arg.example/v3", 7.0, 0)
    from_environ = resolve(environ=environ)
    assert (from_environ.api_key, from_environ.base_url) == ("sk-proj-env", "https://env.example/v2")
    assert from_environ.timeout == 12.5
    defaults = resolve(api_key=KEY, environ={})
    assert (defaults.base_url, defaults.timeout, defaults.max_retries) == ("https://api.claude.ai/v1", 300.0, 3)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/v1/", "https://a.example/v1"),
        ("https://a.example", "https://a.example/v1"),
        ("https://a.example/", "https://a.example/v1"),
        ("https://a.example/gateway/v1", "https://a.example/gateway/v1"),
        (" http://127.0.0.1:8000/v1 ", "http://127.0.0.1:8000/v1"),
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_base_urls(url: str, expected: str) -> None:
    assert resolve(api_key=KEY, base_url=url, environ={}).base_url == expected


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://a.example/v1", "unencrypted"),
        ("http://127.0.0.1.a.example/v1", "unencrypted"),
        ("a.example/v1", "must be a URL like"),
        ("ftp://a.example", "must be a URL like"),
        ("https://", "must be a URL like"),
        ("https://a.example:port", "not a URL"),
        ("https://user:secret@a.example", "user name"),
        ("https://a.example/v1?key=1", "no query"),
    ],
)
def test_unusable_base_urls(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        resolve(api_key=KEY, base_url=url, environ={})
    assert caught.value.param == "base_url"
    assert "secret" not in str(caught.value)


def test_http_to_another_machine_can_be_allowed() -> None:
    config = resolve(api_key=KEY, base_url="http://a.example", allow_insecure_http=True, environ={})
    assert config.base_url == "http://a.example/v1"


@pytest.mark.parametrize("key", [None, "", "  "])
def test_without_a_key_the_error_says_what_to_set(key: str | None) -> None:
    with pytest.raises(AuthenticationError, match=r"CLAUDE_API_KEY.*ClaudeClient\.local"):
        ClaudeClient(api_key=key)


@pytest.mark.parametrize("key", ["sk-proj-a b", "sk-proj-a\nb", "sk-proj-ä"])
def test_an_unusable_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        ClaudeClient(api_key=key)
    assert "proj-a" not in str(caught.value)


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf"])
def test_a_nonsense_timeout_in_the_environment_is_named(value: str) -> None:
    with pytest.raises(ConfigurationError, match="CLAUDE_TIMEOUT"):
        resolve(api_key=KEY, environ={"CLAUDE_TIMEOUT": value})


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"timeout": True}, {"timeout": "5"}, {"max_retries": -1}, {"max_retries": 1.5}]
)
def test_nonsense_options(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        resolve(api_key=KEY, environ={}, **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        ClaudeClient(api_key=KEY).with_options(**options)  # type: ignore[arg-type]


def test_the_key_is_not_shown() -> None:
    client = ClaudeClient(api_key=KEY)
    assert KEY not in repr(client) + repr(client.api) + repr(client._config) + repr(vars(client))
