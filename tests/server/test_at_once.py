"""Coroutines that have nothing to wait for."""

import asyncio

import pytest

from claude_code_server.runtime.at_once import run_at_once


async def _wait() -> str:
    await asyncio.sleep(0)
    return "waited"


async def _do_not_wait() -> str:
    return "done"


def test_a_coroutine_that_waits_for_nothing_needs_no_event_loop() -> None:
    assert run_at_once(_do_not_wait()) == "done"


def test_a_coroutine_that_waits_is_refused() -> None:
    with pytest.raises(RuntimeError, match="waits"):
        run_at_once(_wait())
