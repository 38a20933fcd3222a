"""Faults and latencies, by their draws: no test here waits for anything."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm.simulator import SimulatorOptions
from codeclm.simulator.draws import Draws
from codeclm.simulator.faults import RateLimit, Transport
from codeclm.simulator.options import FAULT_RATES, Distribution


def test_faults_come_at_their_rates() -> None:
    transport = Transport(SimulatorOptions(rate_429=0.1, rate_drop=0.05, rate_truncated=0.2))
    counts = Counter(transport.fault() for _ in range(10_000))
    assert set(counts) == {None, "429", "drop", "truncated"}
    assert counts["429"] == pytest.approx(1000, abs=100)
    assert counts["drop"] == pytest.approx(500, abs=80)
    assert counts["truncated"] == pytest.approx(2000, abs=150)


@pytest.mark.parametrize("name", FAULT_RATES)
def test_a_rate_of_1_is_always_and_of_0_never(name: str) -> None:
    transport = Transport(replace(SimulatorOptions(), **{name: 1.0}))  # type: ignore[arg-type]
    assert {transport.fault() for _ in range(100)} == {name.removeprefix("rate_")}
    transport = Transport(SimulatorOptions())
    assert {transport.fault() for _ in range(100)} == {None}


@pytest.mark.parametrize("distribution", ["fixed", "exponential", "lognormal"])
def test_latencies_have_their_mean_and_spread(distribution: Distribution) -> None:
    transport = Transport(SimulatorOptions(latency=2.0, latency_distribution=distribution))
    drawn = [transport.latency(100) for _ in range(20_000)]
    assert statistics.fmean(drawn) == pytest.approx(2.0, rel=0.03)
    spread = {"fixed": 0, "exponential": 2.0, "lognormal": 1.066}[distribution]
    assert statistics.pstdev(drawn) == pytest.approx(spread, rel=0.1)


def test_tokens_take_time() -> None:
    assert Transport(SimulatorOptions(latency=0.5, tokens_per_second=50)).latency(100) == 2.5


def test_the_fault_seed_decides_the_draws() -> None:
    def draws(seed: int) -> list[float]:
        transport = Transport(SimulatorOptions(fault_seed=seed, latency=1, latency_distribution="exponential"))
        return [transport.latency(0) for _ in range(5)]

    assert draws(1) == draws(1) != draws(2)


def test_a_rate_limit_lets_a_minutes_worth_pass_and_then_fills_steadily() -> None:
    limit = RateLimit(60)
    assert [limit.wait(1000.0) for _ in range(60)] == [0.0] * 60
    assert limit.wait(1000.0) == pytest.approx(1.0)
    assert limit.wait(1000.75) == pytest.approx(0.25)
    assert limit.wait(1001.0) == 0.0
    assert limit.wait(1001.0) > 0
    assert [limit.wait(9999.0) for _ in range(61)].count(0.0) == 60


def test_no_rate_limit_never_waits() -> None:
    assert {RateLimit(0).wait(0.0) for _ in range(1000)} == {0.0}


@given(st.lists(st.text(), max_size=3))
def test_draws_depend_on_their_key_alone(key: list[str]) -> None:
    one, two = Draws(*key), Draws(*key)
    assert [one.unit() for _ in range(20)] == [two.unit() for _ in range(20)]
    assert sorted(one.some(range(10), 20)) == list(range(10))


def test_draws_are_the_same_on_every_machine_and_evenly_spread() -> None:
    assert [round(Draws("a", 1).unit(), 6), Draws("b").pick("xyz")] == [0.303866, "z"]
    drawn = Draws("spread")
    assert statistics.fmean(drawn.unit() for _ in range(10_000)) == pytest.approx(0.5, abs=0.01)
