"""Attempts with wrong API keys are slowed down per address, and lock nobody out."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from support.servers.embedded_server import KEY, OTHER_KEY, serving
from support.servers.scripted_engine import ScriptedEngine
from support.simulated_time import run
from support.stalls import in_time

from claude_code_server.domain.errors import ApiError
from claude_code_server.services.auth import ApiKeys
from claude_code_server.services.failure_limiter import FailureLimiter

ATTACKER, STRANGER = "192.0.2.1", "192.0.2.2"
FREE = 10
SOON = 0.2
"""Seconds; less than the shortest delay."""


async def attempt(keys: ApiKeys, key: str, address: str) -> tuple[int, float]:
    """Return the status and the seconds of one attempt."""
    clock = asyncio.get_running_loop().time
    started = clock()
    try:
        await keys.authenticate(f"Bearer {key}", address)
        status = 200
    except ApiError as error:
        status = error.status
    return status, clock() - started


def accept(*keys: str) -> ApiKeys:
    """Return API keys whose limiter has the clock of the event loop."""
    accepted = ApiKeys(keys)
    accepted._limiter = FailureLimiter(asyncio.get_running_loop().time)
    return accepted


def test_repeated_failures_are_slowed_down() -> None:
    async def main() -> None:
        keys = accept(KEY)
        quick = [await attempt(keys, f"wrong {number}", ATTACKER) for number in range(FREE)]
        assert [status for status, _ in quick] == [401] * FREE
        assert max(seconds for _, seconds in quick) < SOON
        slow = [await attempt(keys, f"wrong {number}", ATTACKER) for number in range(3)]
        assert [status for status, _ in slow] == [401] * 3
        assert [seconds > SOON for _, seconds in slow] == [True] * 3
        assert slow[2][1] > slow[0][1]

    run(main())


def test_right_and_wrong_keys_wait_alike() -> None:
    async def main() -> None:
        keys = accept(KEY, OTHER_KEY)
        for number in range(FREE):
            await attempt(keys, f"wrong {number}", ATTACKER)
        almost = KEY[:-1] + "x"
        results = await asyncio.gather(*(attempt(keys, key, ATTACKER) for key in (KEY, almost, "wrong", OTHER_KEY)))
        assert [status for status, _ in results] == [200, 401, 401, 200]
        assert min(seconds for _, seconds in results) > SOON
        assert len({seconds for _, seconds in results}) == 1

    run(main())


def test_an_attacker_locks_nobody_out() -> None:
    async def main() -> None:
        keys = accept(KEY, OTHER_KEY)
        await attempt(keys, KEY, ATTACKER)
        flood = [asyncio.create_task(attempt(keys, f"wrong {number}", ATTACKER)) for number in range(500)]
        await asyncio.sleep(0)
        status, seconds = await attempt(keys, KEY, ATTACKER)
        assert (status, seconds < SOON) == (200, True), "this address has used the key before"
        status, seconds = await attempt(keys, OTHER_KEY, STRANGER)
        assert (status, seconds < SOON) == (200, True), "another address"
        statuses = [status for status, _ in await asyncio.gather(*flood)]
        assert statuses.count(401) < 60, "an address cannot try many keys at the same time"
        assert statuses.count(401) + statuses.count(429) == 500
        assert (await attempt(keys, OTHER_KEY, ATTACKER))[0] == 200

    run(main())


def test_a_request_without_a_key_is_no_failure() -> None:
    async def main() -> None:
        keys = accept(KEY)
        for header in (None, "", "Basic abc", "Bearer "):
            for _ in range(2 * FREE):
                with pytest.raises(ApiError):
                    await keys.authenticate(header, ATTACKER)
        assert (await attempt(keys, KEY, ATTACKER))[1] < SOON

    run(main())


def test_an_address_recovers() -> None:
    now = 0.0
    limiter = FailureLimiter(lambda: now)
    for _ in range(1000):
        limiter.record_failure(ATTACKER)
    assert limiter.delay(ATTACKER) == 5
    now = 8.0
    assert 0 < limiter.delay(ATTACKER) <= 1
    now = 15.0
    assert limiter.delay(ATTACKER) == 0


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("127.0.0.1", "127.9.9.9", True),
        ("127.0.0.1", "::1", True),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "192.0.2.1", False),
    ],
)
def test_addresses_of_one_user_count_together(first: str, second: str, same: bool) -> None:
    limiter = FailureLimiter()
    for _ in range(20):
        limiter.record_failure(first)
    assert (limiter.delay(second) > 0) is same


def test_memory_is_bounded() -> None:
    limiter = FailureLimiter()
    for number in range(10_000):
        address = f"10.{number // 62_500}.{number // 250 % 250}.{number % 250}"
        limiter.record_failure(address)
        limiter.trust(address, "hash")
    assert len(limiter._addresses) <= 4096
    assert len(limiter._trusted) <= 4096


@pytest.mark.slow
def test_wrong_keys_are_slowed_down_over_http(tmp_path: Path) -> None:
    with serving(tmp_path, ScriptedEngine()) as server, server.client() as client, server.client("wrong") as attacker:
        assert client.get("/models").status_code == 200
        started = time.monotonic()
        for _ in range(FREE + 3):
            # Nobody pretends to be somebody else.
            response = attacker.get("/models", headers={"X-Forwarded-For": f"192.0.2.{_}"})
            assert response.status_code == 401
        assert time.monotonic() - started > 1
        with in_time(1):
            assert client.get("/models").status_code == 200
