"""Results that callers share: made once, kept within a limit, and nobody's failure but their own."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from claude_code_server.runtime.shared_results import SharedResults


class Maker:
    """Maker of results, which waits until it may end."""

    def __init__(self, result: bytes | Exception | None) -> None:
        self.result = result
        self.made = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> bytes | None:
        self.made += 1
        await self.may_end.wait()
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def run(test: Callable[[SharedResults[bytes]], Awaitable[None]]) -> None:
    async def main() -> None:
        await test(SharedResults(10, len))

    asyncio.run(main())


def test_callers_at_once_share_a_result_and_later_ones_the_kept_one() -> None:
    async def test(results: SharedResults[bytes]) -> None:
        make = Maker(b"one")
        callers = [asyncio.create_task(results.get("a", make)) for _ in range(5)]
        await asyncio.sleep(0)
        callers[0].cancel()
        make.may_end.set()
        assert await asyncio.gather(*callers[1:]) == [b"one"] * 4
        assert await results.get("a", make) == b"one"
        assert make.made == 1

    run(test)


@pytest.mark.parametrize("end", [None, OSError("full")], ids=["none", "failure"])
def test_what_is_no_result_is_not_kept(end: OSError | None) -> None:
    async def test(results: SharedResults[bytes]) -> None:
        make = Maker(end)
        make.may_end.set()
        callers = [asyncio.create_task(results.get("a", make)) for _ in range(2)]
        assert await asyncio.gather(*callers, return_exceptions=True) == [end, end]
        make.result = b"one"
        assert await results.get("a", make) == b"one"
        assert make.made == 2

    run(test)


def test_the_results_used_last_are_kept_within_the_limit() -> None:
    async def test(results: SharedResults[bytes]) -> None:
        make = Maker(b"four")
        make.may_end.set()
        for key in ("a", "b", "a", "c", "a"):
            assert await results.get(key, make) == b"four"
        assert make.made == 3  # b was made room for c
        assert await results.get("b", make) == b"four"
        assert make.made == 4
        make.result = b"x" * 11
        for _ in range(2):
            assert await results.get("large", make) == make.result
        assert make.made == 6
        assert await results.get("b", make) == b"x" * 11

    run(test)


def test_kept_results_leave_others_their_turn() -> None:
    async def test(results: SharedResults[bytes]) -> None:
        make = Maker(b"one")
        make.may_end.set()
        await results.get("a", make)
        other = asyncio.create_task(asyncio.sleep(0))
        for _ in range(3):
            await results.get("a", make)
        assert other.done()

    run(test)
