"""Framing of requests, and what belongs to their heads: no part of one request counts as part of another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.clients.raw_connection import RawConnection, head, task_head
from support.servers.embedded_server import KEY, Running, serving
from support.servers.scripted_engine import DONE, ScriptedEngine

BODY = b'{"description": "a"}'
H2C = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAMAAABkAAQCAAAAAAIAAAAA"}
"""Offer of HTTP/2, which Java's client makes with its requests by default."""


@pytest.fixture(scope="module")
def engine() -> ScriptedEngine:
    return ScriptedEngine(DONE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, engine: ScriptedEngine) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("workspace"), engine) as running:
        yield running


@pytest.mark.parametrize("at_once", [True, False], ids=["together", "apart"])
def test_a_request_that_offers_http_2_keeps_its_body(server: Running, at_once: bool) -> None:
    first = task_head(KEY, len(BODY), **H2C)
    with RawConnection(server.address, first + BODY if at_once else first) as raw:
        if not at_once:
            raw.send(BODY)
        assert raw.response().status == 200


def test_a_body_that_looks_like_a_request_is_none(server: Running) -> None:
    inner = head()
    with RawConnection(server.address, task_head(KEY, len(inner), **H2C)) as raw:
        raw.send(inner)
        assert raw.response().status == 400
        raw.send(head("/v1/nowhere"))
        assert raw.response().status == 404


def test_trailers_are_not_headers(server: Running) -> None:
    chunks = b"%x\r\n%b\r\n0\r\nAuthorization: Bearer %b\r\n\r\n" % (len(BODY), BODY, KEY.encode())
    with RawConnection(server.address, head("/v1/task", "POST", Transfer_Encoding="chunked") + chunks) as raw:
        assert raw.response().status == 401


def test_a_malformed_request_is_refused_after_the_response_before_it(server: Running) -> None:
    with RawConnection(server.address, head() + b"nonsense\r\n\r\n") as raw:
        assert [raw.response().status for _ in range(2)] == [200, 400]
        assert raw.ended()


@pytest.mark.parametrize(
    "headers",
    [
        {"HOST": "other"},
        {"Transfer_Encoding": "gzip, chunked"},
        {"Transfer_Encoding": "identity"},
        {"Content_Length": "+1"},
    ],
    ids=lambda headers: "-".join(*headers.items()),
)
def test_an_ambiguous_head_is_400(server: Running, engine: ScriptedEngine, headers: dict[str, str]) -> None:
    runs = len(engine.specs)
    with RawConnection(server.address, head("/v1/task", "POST", Authorization=f"Bearer {KEY}", **headers)) as raw:
        response = raw.response()
        assert (response.status, response.error_type) == (400, "invalid_request_error")
        assert raw.ended()
    assert len(engine.specs) == runs
