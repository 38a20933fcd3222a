"""Calls that hang take no places from the others, and slow ones are not taken for hung."""

from __future__ import annotations

import asyncio
import random

import pytest
from tests.clients.model_servers import Server, exponential, fixed, load
from tests.clients.virtual_time import run

from codeclm.clients.overdue import Overdue
from codeclm.errors import TimedOut
from codeclm.records import Completion, Request


class Hanging(Server):
    """Some calls, or all from a moment on, are never answered: they end after the client's patience of 60 s."""

    share = 0.01
    stuck_after = float("inf")

    async def complete(self, request: Request) -> Completion:
        if asyncio.get_running_loop().time() > self.stuck_after or random.random() < self.share:
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            try:
                await asyncio.sleep(60)
            finally:
                self.in_flight -= 1
            raise TimedOut("no reply")
        return await super().complete(request)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("places", [4, 32])
def test_hung_calls_cost_an_endpoint_little_of_its_throughput(places: int, seed: int) -> None:
    random.seed(seed)
    found = run(load(Hanging(fixed(0.5), places=places), 300))
    assert found.throughput(60) >= 0.75 * places / 0.5


def test_where_everything_hangs_hardly_more_is_sent_than_before() -> None:
    random.seed(1)
    server = Hanging(fixed(0.5), places=32)
    server.share, server.stuck_after = 0.0, 100.0
    found = run(load(server, 150))
    before = max(limit for at, limit in found.limits if at < 100)
    assert server.peak <= 2 * before + 16


def test_the_ceiling_holds_for_hung_calls_too() -> None:
    random.seed(1)
    server = Hanging(fixed(0.5))
    server.share = 0.2
    run(load(server, 200, ceiling=10))
    assert server.peak == 10


def test_long_calls_are_not_taken_for_hung() -> None:
    overdue, draws = Overdue(), random.Random(1)
    taken, now = exponential(2.0), 0.0
    for number in range(5000):
        overdue.begun(number, "answer", now)
        seconds = taken(draws, "answer")
        now += seconds
        overdue.newly(now)
        overdue.ended(number, seconds)
    late = 0
    for number in range(5000, 10_000):
        overdue.begun(number, "answer", now)
        seconds = taken(draws, "answer")
        now += seconds
        late += len(overdue.newly(now))
        overdue.ended(number, seconds)
    assert late < 5


def test_a_stage_has_a_measure_of_its_own_and_none_at_first() -> None:
    overdue = Overdue()
    overdue.begun(0, "long", 0.0)
    for number in range(1, 40):
        overdue.begun(number, "short", 0.0)
        overdue.ended(number, 0.1)
        assert number >= 20 or overdue.next is None
    overdue.begun(40, "short", 0.0)
    assert overdue.newly(0.9) == []
    assert overdue.next == 1.0
    assert overdue.newly(1.0) == [40]
    assert overdue.newly(1000.0) == []
    assert overdue.counted_out(4) == 1
    assert overdue.ended(40, None)
    assert overdue.counted_out(4) == 0
    assert not overdue.ended(0, 500.0)


def test_no_more_are_counted_out_than_the_limit_or_a_few() -> None:
    overdue = Overdue()
    for number in range(100):
        overdue.begun(number, "", 0.0)
        if number < 20:
            overdue.ended(number, 0.1)
    for number in range(100, 200):
        overdue.begun(number, "", 0.0)
    assert len(overdue.newly(5.0)) == 180
    assert overdue.counted_out(4) == 16
    assert overdue.counted_out(50) == 50
