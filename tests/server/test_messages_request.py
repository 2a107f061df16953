"""Requests of the model proxy: the fields that pass, and the estimate of the most that a request may use."""

import base64
import hashlib
import json
import zlib
from typing import Any

import pytest
from support.token_samples import TEXTS

from claude_code_common.token_estimate import estimate_tokens
from claude_code_server.engine import repeated_texts
from claude_code_server.engine.messages_request import AgentRequest, RefusedRequestError, parse_request
from claude_code_server.engine.repeated_texts import estimate_texts


def parsed(*, web_search: bool = False, **fields: Any) -> AgentRequest:
    known = {"model": "m", "max_tokens": 4000, "messages": [{"role": "user", "content": "hi"}]}
    return parse_request(json.dumps({**known, **fields}).encode(), web_search=web_search)


def content(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(blocks)}]


def media(kind: str, data: bytes) -> dict[str, Any]:
    return {"type": kind, "source": {"type": "base64", "data": base64.b64encode(data).decode()}}


def test_known_fields_pass_and_others_are_left_out() -> None:
    # As Claude Code 2.1.330 sends them.
    fields: dict[str, Any] = {
        "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "Bash", "description": "b", "input_schema": {"type": "object"}}],
        "metadata": {"user_id": "u"},
        "thinking": {"type": "adaptive", "display": "updates"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "medium"},
        "stream": True,
    }
    left_out: dict[str, Any] = {
        "mcp_servers": [{}],
        "speed": "fast",
        "service_tier": "priority",
        "container": "c",
        "new": 1,
    }
    request = parsed(**fields, **left_out)
    assert request.stream
    assert {name: request.body[name] for name in fields} == fields
    assert set(request.body) == {*fields, "model", "max_tokens", "messages"}


def test_edits_that_make_the_model_write_are_left_out() -> None:
    edits = [{"type": "clear_tool_uses_20250919"}, {"type": "compact_20260112"}, 1]
    assert parsed(context_management={"edits": edits}).body["context_management"] == {"edits": edits[:1]}
    assert "context_management" not in parsed(context_management={"edits": edits[1:]}).body


def test_server_tools_are_left_out_but_a_permitted_web_search() -> None:
    own, search = {"name": "a", "input_schema": {}}, {"type": "web_search_20250305", "name": "web_search"}
    others = [{"type": "code_execution_20250825", "name": "x"}, {"type": "web_fetch_20250910", "name": "y"}]
    assert parsed(tools=[own, search, *others]).body["tools"] == [own]
    alone = parsed(tools=[search], tool_choice={"type": "any"})
    assert not {"tools", "tool_choice"} & set(alone.body)
    request = parsed(tools=[own, {**search, "max_uses": 99}, search], web_search=True)
    assert request.body["tools"] == [own, {**search, "max_uses": 8}]
    assert request.need.searches == 8
    assert request.need.prompt > 8 * 9 // 2 * 20_000


@pytest.mark.parametrize("name", TEXTS)
def test_prompts_are_not_estimated_too_low_wherever_the_text_is(name: str) -> None:
    text = TEXTS[name]
    whole = parsed(system=text).need.prompt
    empty = parsed(system="").need.prompt
    in_content = content({"type": "text", "text": text})
    in_result = content({"type": "tool_result", "content": [{"type": "text", "text": text}]})
    in_call = content({"type": "tool_use", "name": "Write", "input": {"content": text}})
    in_tool = [{"name": "a", "description": text}]
    for request in (
        parsed(messages=in_content),
        parsed(messages=in_result),
        parsed(messages=in_call),
        parsed(tools=in_tool),
    ):
        assert request.need.prompt - empty >= 0.95 * (whole - empty)


def test_texts_that_are_sent_again_are_estimated_once_and_not_kept() -> None:
    text = TEXTS["English"][:5_000]
    first = estimate_texts(["short", text])
    before = dict(repeated_texts._known)
    assert estimate_texts([text, "short"]) == first
    assert estimate_tokens(text) <= first <= estimate_tokens(text) + 10
    assert repeated_texts._known == before
    assert hashlib.sha256(text.encode()).digest() in before


def test_cache_lifetimes_are_found() -> None:
    def block(**control: Any) -> dict[str, Any]:
        return {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", **control}}

    assert parsed().need.cache_ttl is None
    assert parsed(messages=content(block())).need.cache_ttl == "5m"
    assert parsed(messages=content(block(ttl="1h"), block())).need.cache_ttl == "1h"
    image = {**media("image", b"x"), "cache_control": {"ttl": "1h"}}
    assert parsed(messages=content(image)).need.cache_ttl == "1h"
    assert parsed(cache_control={"type": "ephemeral"}).need.cache_ttl == "5m"


def test_images_and_pages_are_counted_not_their_bytes() -> None:
    image = parsed(messages=content(media("image", b"x" * 300_000))).need.prompt
    assert 5000 < image < 7000
    plain = b"%PDF-1.4\n" + b"<</Type /Page>>\n" * 7 + b"<</Type /Pages>>"
    assert 7 * 4000 < parsed(messages=content(media("document", plain))).need.prompt < 7 * 5000
    packed = b"%PDF-1.7\nstream\n" + zlib.compress(b"<</Type/Page>>" * 7) + b"\nendstream"
    assert 7 * 4000 < parsed(messages=content(media("document", packed))).need.prompt < 7 * 5000
    bomb = b"stream\n" + zlib.compress(bytes(9_000_000))
    assert parsed(messages=content(media("document", bomb))).need.prompt > 2_000_000


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "url", "url": "https://example.com/canary"}},
        {"type": "document", "source": {"type": "file", "file_id": "canary"}},
        {"type": "container_upload", "file_id": "canary"},
        {"type": "tool_result", "content": [{"type": "document", "source": {"type": "url", "url": "canary"}}]},
    ],
)
def test_content_that_the_upstream_would_fetch_is_refused(block: dict[str, Any]) -> None:
    with pytest.raises(RefusedRequestError) as caught:
        parsed(messages=content(block))
    assert "canary" not in caught.value.message


def test_thinking_is_limited_with_the_output() -> None:
    request = parsed(max_tokens=64_000, thinking={"type": "enabled", "budget_tokens": 32_000})
    assert request.limited_to(64_000) == request.body
    assert request.limited_to(10_000)["thinking"]["budget_tokens"] == 5000
    assert request.limited_to(1500)["thinking"]["budget_tokens"] == 1024
    assert "thinking" not in request.limited_to(1000)
    assert parsed(thinking={"type": "adaptive"}).limited_to(10)["thinking"] == {"type": "adaptive"}
