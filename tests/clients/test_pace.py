"""The pace that finds itself: limits met rarely, kept full, told apart from accidents, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clients.model_servers import Latency, Load, Server, exponential, fixed, load, lognormal
from tests.clients.virtual_time import run

from codeclm.clients.pace import LONGEST_HOLD, Pace, Sent
from codeclm.simulator.faults import RateLimit

FOUND = 20.0


def _loaded(server: Server, seconds: float = 60, **how: Any) -> Load:
    random.seed(1)
    return run(load(server, seconds, **how))


@pytest.mark.parametrize("latency", [fixed, exponential, lognormal])
@pytest.mark.parametrize("seconds", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("headers", [True, False])
def test_a_limit_per_minute_is_used_up_and_hardly_ever_met(
    headers: bool, seconds: float, latency: Callable[[float], Latency]
) -> None:
    found = _loaded(Server(latency(seconds), limit=RateLimit(600), headers=headers))
    assert found.throughput(FOUND) >= 0.9 * 10
    assert found.refused < (0.001 if headers else 0.02)


@pytest.mark.parametrize("per_minute", [60, 600, 6000, pytest.param(30_000, marks=pytest.mark.slow)])
def test_limits_of_every_height_are_found(per_minute: int) -> None:
    found = _loaded(Server(exponential(0.3), limit=RateLimit(per_minute)), 180)
    assert found.throughput(90) >= 0.9 * per_minute / 60
    assert found.refused < (0.02 if per_minute >= 600 else 0.15)


def test_a_minute_of_the_clock_is_used_up_each_time() -> None:
    found = _loaded(Server(exponential(0.2), window=600), 300)
    assert found.throughput(60) >= 0.9 * 10
    assert found.refused < 0.02


def test_without_a_word_of_when_to_come_back() -> None:
    found = _loaded(Server(exponential(0.2), limit=RateLimit(600), says_when=False), 120)
    assert found.throughput(30) >= 0.85 * 10
    assert found.refused < 0.05


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize(("accidents", "kept"), [(0.1, 0.75), (0.2, 0.6)])
@pytest.mark.parametrize(("places", "seconds"), [(4, 0.2), (32, 0.2), (32, 1.0), (200, 0.5)])
def test_refusals_that_have_nothing_to_do_with_the_load_hold_nobody_up(
    places: int, seconds: float, accidents: float, kept: float, seed: int
) -> None:
    server = Server(exponential(seconds), places=places, accidents=accidents, seed=seed)
    found = _loaded(server, 90)
    assert found.throughput(FOUND) >= kept * places / seconds


def test_a_real_limit_is_found_among_accidents() -> None:
    found = _loaded(Server(exponential(0.2), limit=RateLimit(600), accidents=0.1), 120)
    assert found.throughput(FOUND) >= 0.8 * 10
    assert found.refused < 0.25


@pytest.mark.parametrize("per_minute", [60, 600])
def test_never_more_than_configured_in_any_minute(per_minute: int) -> None:
    found = _loaded(Server(exponential(0.2)), 200, pace=Pace(requests_per_minute=per_minute))
    sent = found.server.received
    assert found.throughput(FOUND) >= 0.97 * per_minute / 60
    for index, at in enumerate(sent):
        assert sum(at <= other < at + 60 for other in sent[index : index + per_minute + 2]) <= per_minute + 1


def test_tokens_per_minute_are_kept_to_by_what_calls_came_to() -> None:
    # Each call comes to 30 tokens, which nobody knows before.
    found = _loaded(Server(exponential(0.2)), 300, pace=Pace(tokens_per_minute=18_000))
    spent = 30 * found.throughput(60) * 60
    assert 0.95 * 18_000 <= spent <= 1.02 * 18_000


def test_tokens_reckoned_too_high_come_back_when_the_reply_tells_its_own() -> None:
    pace = Pace(tokens_per_minute=600)
    sent = pace.begun(0.0, 1, tokens=500)
    assert pace.wait(0.0) == pytest.approx(40)  # 100 may be saved up, 10 come in a second
    pace.answered(sent, 0.0, tokens=110)
    assert pace.wait(0.0) == pytest.approx(1)
    sent = pace.begun(1.0, 1, tokens=500)
    pace.refused(sent, 1.0, None)
    assert pace.wait(1.0) == 0  # a refused call spends none


def _headers(remaining: int, reset: str = "1s", limit: int = 100, kind: str = "requests") -> Mapping[str, str]:
    names = ("limit", "remaining", "reset")
    return {
        f"x-ratelimit-{name}-{kind}": str(value) for name, value in zip(names, (limit, remaining, reset), strict=True)
    }


def test_headers_slow_down_before_anything_is_refused() -> None:
    pace = Pace()
    sent = pace.begun(0.0, 1)
    pace.told(_headers(50, "5s"), sent, 0.1)
    assert pace.wait(0.1) == 0
    pace.told(_headers(0, "10s"), pace.begun(0.2, 1), 0.2)
    assert 0.1 < pace.wait(0.2) < 0.3  # ten a second come back
    assert pace.wait(0.6) == 0


def test_what_was_sent_since_is_not_left_any_more() -> None:
    pace = Pace()
    first = pace.begun(0.0, 1)
    for _ in range(20):
        pace.begun(0.0, 1)
    pace.told(_headers(20, "80s"), first, 0.0)
    assert pace.wait(0.0) > 0


def test_tokens_left_count_in_calls_of_the_usual_size() -> None:
    pace = Pace()
    sent = pace.begun(0.0, 1, tokens=400)
    pace.told(_headers(500, "60s", limit=60_000, kind="tokens"), sent, 0.0)
    assert pace.counts_tokens
    assert pace.wait(0.0) > 0
    pace.told(_headers(30_000, "60s", limit=60_000, kind="tokens"), sent, 0.0)
    assert pace.wait(0.0) == 0


def test_a_header_that_lies_is_soon_ignored() -> None:
    pace, now = Pace(), 0.0
    waits = []
    for _ in range(8):
        waits.append(pace.wait(now))
        now += waits[-1]
        sent = pace.begun(now, 1)
        pace.told(_headers(0, "24h"), sent, now)
        pace.answered(sent, now)
    assert max(waits) <= 5
    assert waits[-1] == 0


def _limit_met(pace: Pace, retry_after: float | None, now: float = 0.0) -> float:
    """Refuse calls until the pace takes it for a limit; the time then."""
    while pace.held_until <= now:
        now += pace.wait(now)
        pace.refused(pace.begun(now, 1), now, retry_after)
        now += 0.001
    return now


@pytest.mark.parametrize(("retry_after", "longest"), [(0.5, 0.5), (30.0, 30.0), (86_400.0, LONGEST_HOLD), (None, 1.0)])
def test_a_limit_holds_everyone_as_long_as_asked_and_never_longer_than_a_minute(
    retry_after: float | None, longest: float
) -> None:
    pace = Pace()
    now = _limit_met(pace, retry_after)
    assert longest - 0.1 <= pace.wait(now) <= longest
    assert pace.wait(now + longest) == 0


def test_without_a_word_of_when_holds_grow_up_to_a_minute() -> None:
    pace, now, holds = Pace(), 0.0, []
    for _ in range(9):
        now = _limit_met(pace, None, now)
        holds.append(round(pace.wait(now)))
        now = pace.held_until
    assert holds == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_call_sent_to_find_out_lets_all_go_on_when_it_is_not_refused() -> None:
    pace = Pace()
    refused = pace.begun(0.0, 1)
    assert pace.refused(refused, 0.01, 600.0) == 0
    probe = pace.begun(0.01, 1)
    assert pace.wait(0.011) > 0  # nobody else, until it is known
    pace.answered(probe, 0.012)
    assert pace.wait(0.012) == 0


def test_a_call_that_finds_nothing_out_is_followed_by_another() -> None:
    pace = Pace()
    pace.refused(pace.begun(0.0, 1), 0.01, 600.0)
    probe = pace.begun(0.01, 1)
    assert pace.wait(0.011) > 0
    pace.failed(probe)
    assert pace.wait(0.011) == 0


def test_nobody_waits_long_for_the_reply_of_the_call_sent_to_find_out() -> None:
    pace = Pace()
    pace.refused(pace.begun(0.0, 1), 0.01, 600.0)
    pace.begun(0.01, 1)
    assert pace.wait(0.01) <= 1  # a refusal would be back by then
    assert pace.wait(1.0) == 0


_STEP = st.tuples(
    st.sampled_from(["send", "answer", "refuse", "fail", "headers"]),
    st.integers(0, 20),
    st.floats(0, 10),
    st.none() | st.floats(0, 1e6),
    st.integers(-5, 10**7),
    st.sampled_from(["", "1s", "24h", "0s", "-1", "nan", "1e9s"]),
)


@given(
    configured=st.tuples(st.none() | st.integers(1, 10**6), st.none() | st.integers(1, 10**8)),
    steps=st.lists(_STEP, max_size=200),
)
def test_a_call_may_be_sent_within_a_minute_whatever_the_endpoint_says_and_does(
    configured: tuple[int | None, int | None], steps: list[tuple[str, int, float, float | None, int, str]]
) -> None:
    pace, now, under_way = Pace(*configured), 0.0, list[Sent]()
    allowed = LONGEST_HOLD + (60 / configured[0] if configured[0] else 0) + 1e-9  # (now + 60) - now may come to more
    for step, which, seconds, number, remaining, reset in steps:
        now += seconds
        if step == "send" and pace.wait(now) == 0:
            under_way.append(pace.begun(now, len(under_way) + 1, 1.0))
        elif step != "send" and under_way:
            sent = under_way[which % len(under_way)]
            if step == "headers":
                pace.told(_headers(remaining, reset, limit=10**6), sent, now)
                continue
            under_way.remove(sent)
            if step == "answer":
                pace.answered(sent, now, 1.0)
            elif step == "refuse":
                pace.refused(sent, now, number)
            else:
                pace.failed(sent)
        assert 0 <= pace.wait(now) <= allowed
        assert pace.rate is None or pace.rate > 0
