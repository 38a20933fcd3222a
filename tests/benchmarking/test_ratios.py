"""What a change did, told from pairs of figures, and what is only noise."""

import math
import random

import pytest
from benchmarks.figures import Better
from benchmarks.ratios import MOST_ROUNDS, T_975, Ratio, ratio
from hypothesis import given
from hypothesis import strategies as st

positive = st.floats(1e-3, 1e6)
pairs = st.lists(st.tuples(positive, positive), min_size=2, max_size=8)
_OTHER: dict[Better, Better] = {"lower": "higher", "higher": "lower"}
_MIRROR = {"better": "worse", "worse": "better"}


def close(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and math.isclose(one, other, rel_tol=1e-9)


@given(pairs, st.sampled_from(["lower", "higher"]))
def test_the_other_way_round_is_the_inverse(rows: list[tuple[float, float]], better: Better) -> None:
    there, back = ratio(rows, better), ratio([(this, base) for base, this in rows], better)
    assert there.ratio
    assert there.low
    assert there.high
    assert close(back.ratio, 1 / there.ratio)
    assert close(back.low, 1 / there.high)
    assert close(back.high, 1 / there.low)
    assert back.verdict == _MIRROR.get(there.verdict, there.verdict)
    assert ratio(rows, _OTHER[better]).verdict == _MIRROR.get(there.verdict, there.verdict)


@given(pairs, st.lists(st.floats(0.1, 10), min_size=8, max_size=8))
def test_how_fast_the_machine_is_in_a_round_changes_nothing(
    rows: list[tuple[float, float]], speeds: list[float]
) -> None:
    """A round in which all takes five times as long says the same as one that does not."""
    slowed = [(base * speed, this * speed) for (base, this), speed in zip(rows, speeds, strict=False)]
    before, after = ratio(rows, "lower"), ratio(slowed, "lower")
    if before.ratio and after.ratio and before.low != before.high:
        assert close(before.ratio, after.ratio)
        assert math.isclose(before.low or 0, after.low or 0, rel_tol=1e-6)


@given(pairs)
def test_the_interval_holds_the_ratio_and_the_verdict_goes_by_it(rows: list[tuple[float, float]]) -> None:
    found = ratio(rows, "lower")
    assert found.ratio
    assert found.low
    assert found.high
    assert found.low <= found.ratio * (1 + 1e-12)
    assert found.ratio <= found.high * (1 + 1e-12)
    if found.verdict != "same":
        expected = "worse" if found.low > 1 else "better" if found.high < 1 else "noise"
        assert found.verdict == expected


def test_a_known_case() -> None:
    """Logarithms of 1, 2 and 4 in base 2: mean 1, standard deviation 1, t 4.303: 2 ** (1 +- 4.303 / sqrt(3))."""
    found = ratio([(1, 1), (3, 6), (5, 20)], "lower")
    assert (found.base, found.this) == (3, 6)
    assert close(found.ratio, 2.0)
    assert math.isclose(found.high or 0, 2 ** (1 + 4.3027 / math.sqrt(3)), rel_tol=1e-9)
    assert found.verdict == "noise"


def test_equals_are_called_different_one_time_in_twenty() -> None:
    draws = random.Random(5)
    outside = 0
    for _ in range(4000):
        rows = [(draws.lognormvariate(0, 0.1), draws.lognormvariate(0, 0.1)) for _ in range(5)]
        outside += ratio(rows, "lower").verdict != "noise"
    assert 0.04 <= outside / 4000 <= 0.06


def test_the_quantiles_are_those_of_student() -> None:
    """By Simpson's rule over his density."""

    def below(bound: float, freedom: int) -> float:
        scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
        steps = 2000
        width = bound / steps
        heights = [scale * math.pow(1 + (width * at) ** 2 / freedom, -(freedom + 1) / 2) for at in range(steps + 1)]
        return 0.5 + width / 3 * (heights[0] + heights[-1] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2]))

    for freedom, quantile in enumerate(T_975, start=1):
        assert abs(below(quantile, freedom) - 0.975) < 1e-5, freedom


def test_equal_counts_are_the_same_and_others_are_told_apart() -> None:
    assert ratio([(7, 7), (0, 0)], "lower") == Ratio(3.5, 3.5, 1.0, 1.0, 1.0, "same")
    assert ratio([(10, 11), (10, 11), (10, 11)], "lower").verdict == "worse"
    assert ratio([(10, 11), (10, 11), (10, 11)], "higher").verdict == "better"


def test_what_differs_by_less_than_a_hundredth_is_the_same() -> None:
    """Memory that is 0.4 % more each time is more, and nothing that anyone would act on."""
    for factor, verdict in ((1.004, "same"), (1.0 / 1.004, "same"), (1.02, "worse"), (1.0 / 1.02, "better")):
        assert ratio([(175.0, 175.0 * factor), (176.0, 176.0 * factor + 0.01)], "lower").verdict == verdict
    assert ratio([(175.0, 170.0), (175.0, 181.0)], "lower").verdict == "noise"


def test_a_single_round_or_a_zero_tells_nothing() -> None:
    once = ratio([(4, 2)], "lower")
    assert (once.ratio, once.low, once.verdict) == (0.5, None, "unclear")
    zero = ratio([(0, 3), (0, 2)], "lower")
    assert (zero.base, zero.this, zero.ratio, zero.verdict) == (0, 2.5, None, "unclear")


@pytest.mark.parametrize("rounds", [0, MOST_ROUNDS + 1])
def test_rounds_that_can_not_be_compared(rounds: int) -> None:
    with pytest.raises(ValueError, match=f"{rounds} rounds: 1 to 30"):
        ratio([(1.0, 2.0)] * rounds, "lower")
