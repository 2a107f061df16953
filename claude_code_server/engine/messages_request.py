"""Requests that agents send to the model proxy: parsed, bounded, reduced to what the proxy lets pass. No I/O.

An agent's shell can send whatever it likes with the task's key, so only fields pass whose cost is known: no server
tools, MCP servers, faster or dearer service, and nothing that the upstream would fetch itself.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final

import attrs

from ..contract.strict_json import parse
from ..domain.pricing import Need
from .repeated_texts import estimate_texts

MAX_BODY_BYTES: Final = 32_000_000
"""Limit of the Messages API."""
_MAX_DEPTH: Final = 500
"""Half of what Python's json module can write. A tool's arguments come back in the next request, as deep as before."""
_FIELDS: Final = frozenset(
    {
        "cache_control",
        "context_management",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
"""Fields that pass. Claude Code 2.1 sends no others; others are left out."""
_WEB_SEARCH: Final = "web_search_"
_MAX_SEARCHES: Final = 8
_SEARCH_TOKENS: Final = 20_000
"""Tokens of the results of one search."""
_CONTEXT_EDIT: Final = "clear_"
"""Edits of the context that only leave something out; others make the model write."""
_BASE_TOKENS: Final = 800
"""Tokens that the upstream adds: instructions for tools, frames of messages."""
_TOKENS_PER_ITEM: Final = 4
"""Tokens around each object, such as a message, a block or a tool."""
_IMAGE_TOKENS: Final = 5_000
_PAGE_TOKENS: Final = 4_600
"""Text and image of a page of a PDF."""
_MAX_PAGES: Final = 600
_MAX_INFLATED: Final = 8_000_000
_MAX_PDF_STREAM: Final = 100_000
_MAX_PDF_STREAMS: Final = 2_000
"""A PDF with more streams, or larger ones, counts as one with the most pages."""
_PAGE: Final = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_PDF_STREAM: Final = re.compile(rb"stream\r?\n")
_MIN_THINKING: Final = 1024
_BETA: Final = re.compile(r"[A-Za-z0-9._-]+(?:\s*,\s*[A-Za-z0-9._-]+)*")


class RefusedRequestError(ValueError):
    """A request that the proxy does not forward. The message repeats no value of the request."""

    def __init__(self, message: str, status: int = 400, type: str = "invalid_request_error") -> None:
        super().__init__(message, status, type)
        self.message = message
        self.status = status
        self.type = type


@attrs.frozen
class AgentRequest:
    """A request that may be forwarded once its cost is reserved."""

    body: Mapping[str, Any] = attrs.field(repr=False)
    model: str
    need: Need
    stream: bool

    def limited_to(self, max_tokens: int) -> dict[str, Any]:
        """Return the body with its output limited; thinking is limited with it."""
        body: dict[str, Any] = {**self.body, "max_tokens": max_tokens}
        thinking = body.get("thinking")
        if not isinstance(thinking, dict):
            return body
        budget = thinking.get("budget_tokens")
        if isinstance(budget, int) and budget >= max_tokens < self.need.output:
            if max_tokens > _MIN_THINKING:
                body["thinking"] = {**thinking, "budget_tokens": max(_MIN_THINKING, max_tokens // 2)}
            else:
                del body["thinking"]
        return body


def parse_request(raw: bytes, *, web_search: bool, counting: bool = False) -> AgentRequest:
    """Parse a body. ``web_search`` lets that server tool pass; a ``counting`` request needs no ``max_tokens``.

    Raise RefusedRequestError.
    """
    try:
        received = parse(raw)
    except ValueError as error:
        raise RefusedRequestError(str(error)) from None
    if not isinstance(received, dict):
        raise RefusedRequestError("the body is not a JSON object")
    body = {name: value for name, value in received.items() if name in _FIELDS}
    model, output, stream = body.get("model"), body.get("max_tokens"), body.get("stream", False)
    if not isinstance(model, str):
        raise RefusedRequestError("model: must be text")
    if counting:
        output = 1
    if isinstance(output, bool) or not isinstance(output, int) or output < 1:
        raise RefusedRequestError("max_tokens: must be a whole number of at least 1")
    if not isinstance(stream, bool):
        raise RefusedRequestError("stream: must be true or false")
    if not isinstance(body.get("messages"), list):
        raise RefusedRequestError("messages: must be a list")
    searches = _restrict_tools(body, web_search=web_search)
    _restrict_context_edits(body)
    return AgentRequest(body, model, estimate_need(body, output, searches), stream)


def estimate_need(body: Mapping[str, Any], output: int, searches: int = 0) -> Need:
    """Return the most that a Messages request may use. Raise RefusedRequestError."""
    contents = _measure({name: value for name, value in body.items() if name not in ("metadata", "model")})
    prompt = contents.tokens + _BASE_TOKENS
    # Each search makes the model read the prompt and all results so far once more.
    prompt = prompt * (searches + 1) + _SEARCH_TOKENS * searches * (searches + 1) // 2
    return Need(prompt, output, contents.cache_ttl, searches)


def check_beta(value: str | None) -> str | None:
    """Return an ``anthropic-beta`` header that can be forwarded. Raise RefusedRequestError."""
    if value is not None and not _BETA.fullmatch(value.strip()):
        raise RefusedRequestError("anthropic-beta: must be names separated by commas")
    return value


def _restrict_tools(body: dict[str, Any], *, web_search: bool) -> int:
    """Leave out tools that the upstream would run; return the number of web searches that are left."""
    tools = body.get("tools")
    if not isinstance(tools, list):
        body.pop("tools", None)
        return 0
    kept, searches = [], 0
    for tool in tools:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind in (None, "custom"):
            kept.append(tool)
        elif web_search and searches == 0 and isinstance(kind, str) and kind.startswith(_WEB_SEARCH):
            wanted = tool.get("max_uses")
            searches = wanted if isinstance(wanted, int) and 0 < wanted < _MAX_SEARCHES else _MAX_SEARCHES
            kept.append({**tool, "max_uses": searches})
    body["tools"] = kept
    if not kept:
        del body["tools"]
        body.pop("tool_choice", None)
    return searches


def _restrict_context_edits(body: dict[str, Any]) -> None:
    management = body.pop("context_management", None)
    edits = management.get("edits") if isinstance(management, dict) else None
    if not isinstance(edits, list):
        return
    kept = [edit for edit in edits if isinstance(edit, dict) and str(edit.get("type")).startswith(_CONTEXT_EDIT)]
    if kept:
        body["context_management"] = {"edits": kept}


@attrs.define
class _Contents:
    tokens: int = 0
    cache_ttl: str | None = None


def _measure(body: Mapping[str, Any]) -> _Contents:
    """Estimate the tokens of a request. Raise RefusedRequestError if it is too deep or names what is elsewhere."""
    contents = _Contents()
    texts: list[str] = []
    pending: list[tuple[Any, int]] = [(body, 0)]
    while pending:
        value, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise RefusedRequestError("the body is nested too deeply")
        match value:
            case str():
                texts.append(value)
            case list():
                pending.extend((item, depth + 1) for item in value)
                contents.tokens += len(value)
            case dict():
                control = value.get("cache_control")
                if isinstance(control, dict):
                    long_lived = control.get("ttl", "5m") != "5m" or contents.cache_ttl == "1h"
                    contents.cache_ttl = "1h" if long_lived else "5m"
                media = _media_tokens(value)
                parts = value if media is None else {name: part for name, part in value.items() if name != "source"}
                texts.extend(parts)
                pending.extend((part, depth + 1) for part in parts.values())
                contents.tokens += _TOKENS_PER_ITEM + (media or 0)
            case _:
                contents.tokens += len(str(value)) // 2 + 1
    contents.tokens += estimate_texts(texts)
    return contents


def _media_tokens(block: Mapping[str, Any]) -> int | None:
    """Return the tokens of an image or PDF; None for other objects."""
    kind, source = block.get("type"), block.get("source")
    if kind == "container_upload":
        raise RefusedRequestError("container_upload: this proxy forwards no references to files")
    if kind not in ("image", "document") or not isinstance(source, Mapping):
        return None
    match source.get("type"):
        case "base64":
            return _IMAGE_TOKENS if kind == "image" else _pdf_tokens(str(source.get("data", "")))
        case "text" | "content":
            return None
    raise RefusedRequestError("source: this proxy forwards content, but no URLs and no references to files")


def _pdf_tokens(data: str) -> int:
    try:
        raw = base64.b64decode(data)
    except (binascii.Error, ValueError):
        return len(data)
    view, pages, left = memoryview(raw), len(_PAGE.findall(raw)), _MAX_INFLATED
    for number, found in enumerate(_PDF_STREAM.finditer(raw)):
        # Newer files keep their objects in compressed streams.
        inflated = _inflate(view[found.end() : found.end() + _MAX_PDF_STREAM], left)
        pages += len(_PAGE.findall(inflated))
        left -= len(inflated)
        if left <= 0 or number >= _MAX_PDF_STREAMS:
            return _MAX_PAGES * _PAGE_TOKENS
    return min(max(pages, 1), _MAX_PAGES) * _PAGE_TOKENS


def _inflate(data: memoryview, limit: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, limit)
    except zlib.error:
        return b""
