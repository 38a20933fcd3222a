"""What is read in rate limit headers, and what is not believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm.clients.rate_headers import Allowance, allowances


def _openai(limit: str, remaining: str, reset: str, kind: str = "requests") -> dict[str, str]:
    names = ("limit", "remaining", "reset")
    return {f"x-ratelimit-{name}-{kind}": value for name, value in zip(names, (limit, remaining, reset), strict=True)}


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("1s", 1), ("6m0s", 360), ("120ms", 0.12), ("1h2m3.5s", 3723.5), ("1d", 86_400), ("7", 7), ("0.5", 0.5)],
)
def test_durations_are_read_as_openai_writes_them(reset: str, seconds: float) -> None:
    [allowance] = allowances(_openai("100", "40", reset)).values()
    assert (allowance.limit, allowance.remaining) == (100, 40)
    assert allowance.rate == pytest.approx(60 / seconds)


def test_requests_and_tokens_are_told_apart() -> None:
    found = allowances(_openai("100", "40", "6s") | _openai("1000", "0", "1s", kind="tokens"))
    assert found == {"requests": Allowance(100, 40, 10), "tokens": Allowance(1000, 0, 1000)}


@pytest.mark.parametrize("reset", ["2026-01-01T12:00:30Z", "2026-01-01T13:00:30+01:00", "2026-01-01T12:00:30"])
def test_anthropic_tells_the_time_of_day_and_its_own_clock_counts(reset: str) -> None:
    names = ("limit", "remaining", "reset")
    headers = {
        f"anthropic-ratelimit-requests-{name}": value for name, value in zip(names, ("50", "20", reset), strict=True)
    }
    assert allowances(headers | {"date": "Thu, 01 Jan 2026 12:00:00 GMT"}) == {"requests": Allowance(50, 20, 1)}


def test_without_a_reset_a_limit_is_one_per_minute() -> None:
    assert allowances(_openai("120", "3", "")) == {"requests": Allowance(120, 3, 2)}
    assert allowances(_openai("120", "120", "0s")) == {"requests": Allowance(120, 120, 2)}


@pytest.mark.parametrize(
    ("limit", "remaining", "reset"),
    [
        ("", "3", "1s"), ("0", "0", "1s"), ("10", "11", "1s"), ("10", "-1", "1s"), ("1e3", "1", "1s"),
        ("nan", "nan", "nan"), ("ten", "two", "soon"), ("9" * 400, "1", "1s"), ("१०", "१", "1s"),
    ],
)  # fmt: skip
def test_what_cannot_be_true_is_as_if_it_were_not_there(limit: str, remaining: str, reset: str) -> None:
    assert allowances(_openai(limit, remaining, reset)) == {}


@pytest.mark.parametrize("reset", ["soon", "-5s", "5 s", "1s1", "99999999999s", "0001-01-01T00:00:00", "9" * 400 + "s"])
def test_a_reset_that_cannot_be_read_leaves_the_rest(reset: str) -> None:
    assert allowances(_openai("60", "0", reset)) == {"requests": Allowance(60, 0, 1)}


@given(st.lists(st.text(max_size=30), min_size=6, max_size=6), st.text(max_size=30))
def test_no_header_breaks_it(values: list[str], date: str) -> None:
    headers = _openai(*values[:3]) | {"date": date}
    headers |= {
        f"anthropic-ratelimit-tokens-{name}": value
        for name, value in zip(("limit", "remaining", "reset"), values[3:], strict=True)
    }
    for allowance in allowances(headers).values():
        assert 0 <= allowance.remaining <= allowance.limit
        assert allowance.rate > 0
