"""The local engine: order, bounds, errors and clean-up, whatever order the items finish in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm.engines.local import AHEAD, map_ordered


class Work:
    """Items that take as many turns of the event loop as they are told, and what happened to them."""

    def __init__(self, turns: list[int], failing: frozenset[int] = frozenset()) -> None:
        self.turns, self.failing = turns, failing
        self.begun, self.ended, self.cancelled = list[int](), list[int](), list[int]()
        self.peak = 0

    async def __call__(self, number: int) -> int:
        self.begun.append(number)
        self.peak = max(self.peak, len(self.begun) - len(self.ended))
        try:
            for _ in range(self.turns[number % len(self.turns)]):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        if number in self.failing:
            raise ValueError(number)
        self.ended.append(number)
        return number


async def _all(work: Work, goal: Callable[[], int], window: int) -> list[int]:
    async with aclosing(map_ordered(work, goal=goal, window=lambda: window)) as results:
        return [result async for result in results]


def _leftover() -> set[asyncio.Task[object]]:
    current = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not current}


TURNS = st.lists(st.integers(0, 6), min_size=1, max_size=12)


@given(turns=TURNS, size=st.integers(0, 30), window=st.integers(1, 10))
def test_results_come_in_order_whatever_finishes_first(turns: list[int], size: int, window: int) -> None:
    async def run() -> None:
        work = Work(turns)
        assert await _all(work, lambda: size, window) == list(range(size))
        assert work.begun == list(range(size))
        assert work.peak <= min(window, max(size, 1))
        assert not _leftover()

    asyncio.run(run())


@given(turns=TURNS, window=st.integers(1, 10), wanted=st.integers(1, 20), used=st.integers(0, 20))
def test_what_comes_out_depends_on_results_and_never_on_timing(
    turns: list[int], window: int, wanted: int, used: int
) -> None:
    async def run(turns: list[int]) -> list[int]:
        work, consumed = Work(turns), list[int]()

        def goal() -> int:
            """As when a run has all its examples earlier than it thought, or needs more."""
            return wanted if len(consumed) < wanted / 2 else used

        async with aclosing(map_ordered(work, goal=goal, window=lambda: window)) as results:
            async for result in results:
                consumed.append(result)
                assert len(work.begun) <= min(result + AHEAD * window, max(wanted, used))
        assert len(consumed) >= min(wanted, used)
        return consumed

    assert asyncio.run(run(turns)) == asyncio.run(run([0])) == asyncio.run(run([3, 0]))


@given(turns=TURNS, window=st.integers(1, 10), taken=st.integers(0, 10))
def test_closing_early_cancels_what_is_under_way_and_leaves_nothing(turns: list[int], window: int, taken: int) -> None:
    async def run() -> None:
        work = Work([*turns, 1000])
        async with aclosing(map_ordered(work, goal=lambda: 30, window=lambda: window)) as results:
            for number in range(min(taken, len(turns))):
                assert await anext(results) == number
        assert sorted(work.ended + work.cancelled) == work.begun
        assert len(work.begun) - len(work.ended) <= window
        assert len(work.begun) <= taken + AHEAD * window
        assert not _leftover()

    asyncio.run(run())


@given(turns=TURNS, window=st.integers(1, 10), failing=st.frozensets(st.integers(0, 12), min_size=1))
def test_an_error_ends_it_and_leaves_nothing(turns: list[int], window: int, failing: frozenset[int]) -> None:
    async def run() -> None:
        work = Work(turns, failing)
        with pytest.raises(ValueError, match=r"^\d+$") as caught:
            await _all(work, lambda: 30, window)
        assert caught.value.args[0] in failing
        assert max(work.begun) < min(failing) + AHEAD * window
        assert work.peak <= window + 1
        assert not _leftover()

    asyncio.run(run())


async def test_an_error_is_raised_at_once_although_earlier_items_are_still_at_work() -> None:
    never = asyncio.Event()
    cancelled = asyncio.Event()

    async def work(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        try:
            await never.wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return number

    results = map_ordered(work, goal=lambda: 5, window=lambda: 5)
    with pytest.raises(ValueError, match="two"):
        await anext(results)
    assert cancelled.is_set()
    assert not _leftover()


async def test_of_errors_known_at_the_same_time_the_first_by_position_is_raised() -> None:
    async def work(number: int) -> int:
        await asyncio.sleep(0)
        raise ValueError(f"item {number}")

    with pytest.raises(ValueError, match="item 0"):
        async for _ in map_ordered(work, goal=lambda: 5, window=lambda: 5):
            pass


async def test_a_consumer_that_is_cancelled_leaves_nothing() -> None:
    begun = asyncio.Event()

    async def work(number: int) -> int:
        begun.set()
        await asyncio.Event().wait()
        return number

    async def consume() -> None:
        async with aclosing(map_ordered(work, goal=lambda: 5, window=lambda: 2)) as results:
            async for _ in results:
                pass

    consumer = asyncio.create_task(consume())
    await begun.wait()
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert not _leftover()


async def test_the_goal_may_grow_while_results_come() -> None:
    seen = list[int]()
    work = Work([2, 0, 1])
    async for result in map_ordered(work, goal=lambda: min(10, 3 + len(seen)), window=lambda: 4):
        seen.append(result)
    assert seen == list(range(10))


async def test_nothing_is_begun_for_a_goal_of_none() -> None:
    work = Work([0])
    assert await _all(work, lambda: 0, 5) == []
    assert work.begun == []


async def test_a_slow_item_holds_up_none_of_the_others_until_they_are_far_ahead() -> None:
    gate, work = asyncio.Event(), Work([0])

    async def slow_first(number: int) -> int:
        result = await work(number)
        if number == 0:
            await gate.wait()
        return result

    results = map_ordered(slow_first, goal=lambda: 100, window=lambda: 5)
    first = asyncio.ensure_future(anext(results))
    for _ in range(100):
        await asyncio.sleep(0)
    assert work.begun == list(range(5 * AHEAD))
    gate.set()
    assert await first == 0
    await results.aclose()


async def test_an_item_that_raises_stop_iteration_is_an_error_and_no_end() -> None:
    async def work(_: int) -> int:
        raise StopAsyncIteration

    with pytest.raises(RuntimeError):
        async for _ in map_ordered(work, goal=lambda: 3, window=lambda: 2):
            pass
