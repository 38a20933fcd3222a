"""Concurrency that finds itself, at model servers in virtual time: throughput is what counts, not the number."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clients.model_servers import Latency, Load, Server, by_stage, exponential, fixed, load, lognormal
from tests.clients.virtual_time import run

from codeclm.clients.concurrency import Concurrency

FOUND = 20.0  # seconds within which the limit is to be found
SEEDS = (0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4)))


def _loaded(server: Server, seconds: float = 40, *, seed: int = 1, **how: Any) -> Load:
    random.seed(seed)
    return run(load(server, seconds, **how))


@pytest.mark.parametrize("latency", [fixed, exponential, lognormal])
@pytest.mark.parametrize("seconds", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("places", [4, 32, pytest.param(200, marks=pytest.mark.slow)])
def test_a_server_that_queues_is_kept_full(places: int, seconds: float, latency: Callable[[float], Latency]) -> None:
    best = places / seconds
    if best > 1000:
        pytest.skip("more than one client can send")
    found = _loaded(Server(latency(seconds), places=places))
    # Few calls end in so short a time: allow for the noise in what is measured.
    assert found.throughput(FOUND) >= 0.9 * best - 2 * (best / FOUND) ** 0.5
    assert found.server.refused == []


@pytest.mark.parametrize(("places", "seconds"), [(4, 3600), (32, 600)])
@pytest.mark.parametrize("seed", range(2))
def test_hours_at_a_full_server_do_not_let_the_limit_creep(places: int, seconds: float, seed: int) -> None:
    found = _loaded(Server(lognormal(0.8), places=places, seed=seed), seconds, ceiling=4096)
    assert found.gate.limit <= 8 * places
    assert found.throughput(FOUND) >= 0.95 * places / 0.8


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("every", [2, 10])
def test_stages_of_very_different_latency_do_not_fool_it(every: int, seed: int) -> None:
    mean = (0.1 * (every - 1) + 2) / every
    server = Server(by_stage(short=0.1, long=2.0), places=32, seed=seed)
    found = _loaded(server, 120, stages=lambda number: "short" if number % every else "long")
    assert found.throughput(FOUND) >= 0.85 * 32 / mean


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mix_that_turns_to_long_calls_is_not_taken_for_a_full_server(seed: int) -> None:
    server = Server(by_stage(short=0.1, long=2.0), places=100, seed=seed)
    found = _loaded(server, 90, stages=lambda number: "short" if number < 300 or number % 3 else "long")
    assert found.throughput(45) >= 0.85 * 100 / (2.2 / 3)


def _level(concurrency: Concurrency, stages: list[str], seconds: dict[str, float], since: float) -> float:
    """Fill the gate with these calls over and over until the limit changes; the time then."""
    limit, number, now = concurrency.limit, int(since * 1e6), since
    for _ in range(100):
        for stage in stages:
            number += 1
            concurrency.begun(number, stage, now, limit)
            now += seconds[stage]
            concurrency.ended(number, now, seconds[stage], limit)
            if concurrency.limit != limit:
                return now
    raise AssertionError("the limit stayed")


def test_a_mix_that_changes_says_nothing_about_the_server() -> None:
    concurrency = Concurrency(512)
    seconds = {"short": 0.1, "long": 2.0}
    now = _level(concurrency, ["short", "short", "short", "long"], seconds, 0.0)
    now = _level(concurrency, ["long"], seconds, now)  # each takes as long as before
    assert concurrency.limit == 16
    _level(concurrency, ["short"], {"short": 0.2}, now)  # and here each takes twice as long
    assert concurrency.limit < 16


def test_latency_that_grows_with_the_batch_does_not_stop_growth_while_throughput_grows() -> None:
    found = _loaded(Server(fixed(1.0), batching=0.01), 60)
    assert found.throughput(30) >= 0.9 * 512 / (1 + 0.01 * 511)


def test_more_places_are_found_when_they_come() -> None:
    server = Server(lognormal(0.2), places=200)

    async def grow() -> Load:
        for _ in range(190):
            await server.turns.acquire()  # the others are taken by someone else

        def leave() -> None:
            for _ in range(190):
                server.turns.release()

        asyncio.get_running_loop().call_later(60, leave)
        return await load(server, 180)

    random.seed(1)
    found = run(grow())
    assert found.throughput(30, 60) >= 0.9 * 10 / 0.2
    assert found.throughput(150) >= 0.9 * 200 / 0.2


def test_a_gate_that_is_not_full_teaches_nothing() -> None:
    found = _loaded(Server(fixed(0.2), places=4), 60, demand=lambda now: 3)
    assert found.limits == [(0.0, 4)]


def test_never_above_the_ceiling() -> None:
    found = _loaded(Server(fixed(0.2)), 30, ceiling=7)
    assert found.server.peak == 7
    assert {limit for _, limit in found.limits} == {4, 7}


def test_the_lowest_ceiling_of_all_who_share_a_gate_holds() -> None:
    concurrency = Concurrency(64, start=64)
    concurrency.keep_to(3)
    concurrency.keep_to(512)
    assert (concurrency.limit, concurrency.ceiling) == (3, 3)


@pytest.mark.parametrize(("most", "refused"), [(10, 0.06), (32, 0.03), (200, 0.01)])
def test_a_server_that_refuses_more_at_once_is_kept_busy_with_few_refusals(most: int, refused: float) -> None:
    found = _loaded(Server(exponential(0.2), most=most), 120)
    assert found.throughput(FOUND) >= 0.6 * most / 0.2
    assert found.refused < refused


def test_one_round_trip_of_refusals_cuts_once() -> None:
    concurrency = Concurrency(64, start=40)
    concurrency.refused(begun_at=1.0, now=1.5, in_flight=40)
    assert concurrency.limit == 30
    concurrency.refused(begun_at=1.2, now=1.6, in_flight=39)
    assert concurrency.limit == 30
    concurrency.refused(begun_at=1.6, now=1.7, in_flight=30)
    assert concurrency.limit == 22


def test_one_lost_call_cuts_nothing_and_many_do() -> None:
    concurrency = Concurrency(64, start=40)
    concurrency.timed_out(0.0, 120.0, 40)
    assert concurrency.limit == 40
    for _ in range(3):
        concurrency.timed_out(0.0, 120.0, 40)
    assert concurrency.limit == 30


_EVENT = st.tuples(
    st.sampled_from(["begin", "end", "fail", "refuse", "time out"]),
    st.integers(0, 30),
    st.floats(0, 5),
    st.sampled_from(["a", "b"]),
)


@given(ceiling=st.integers(1, 40), events=st.lists(_EVENT, max_size=300))
def test_the_limit_stays_within_its_bounds_whatever_happens(
    ceiling: int, events: list[tuple[str, int, float, str]]
) -> None:
    concurrency, now, number = Concurrency(ceiling), 0.0, 0
    under_way: list[tuple[int, float]] = []
    for event, which, seconds, stage in events:
        now += seconds
        if event == "begin" and len(under_way) < concurrency.limit:
            number += 1
            under_way.append((number, now))
            concurrency.begun(number, stage, now, len(under_way))
        elif event != "begin" and under_way:
            ended, begun_at = under_way[which % len(under_way)]
            concurrency.ended(ended, now, now - begun_at if event == "end" else None, len(under_way))
            if event == "refuse":
                concurrency.refused(begun_at, now, len(under_way))
            if event == "time out":
                concurrency.timed_out(begun_at, now, len(under_way))
            under_way.remove((ended, begun_at))
        assert 1 <= concurrency.limit <= ceiling
