"""Intervals of the test tube: known ones, and what must not matter."""

import math

import pytest
from benchmarks.test_tube.intervals import Holds, difference, mean_interval, share
from hypothesis import given
from hypothesis import strategies as st

from codeclm.evaluating.statistics import crr_interval, paired_test

values = st.lists(st.floats(-1, 1), min_size=2, max_size=40)
marks = st.dictionaries(st.integers(0, 30), st.text("01", min_size=12, max_size=12), min_size=2, max_size=8)


def of(count: int, items: int = 100) -> str:
    return "1" * count + "0" * (items - count)


def test_a_known_interval() -> None:
    """The mean of 1 to 5 is 3, its deviation sqrt(2.5), and Student's quantile with 4 degrees 2.776."""
    middle, low, high = mean_interval([1, 2, 3, 4, 5])
    assert middle == 3
    assert (low, high) == pytest.approx((3 - 1.9632, 3 + 1.9632), abs=1e-4)


@pytest.mark.parametrize("count", [2, 3, 5, 10, 30])
def test_the_quantiles_are_students(count: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    found = [float(value) for value in range(count)]
    expected = stats.t.interval(0.95, count - 1, loc=(count - 1) / 2, scale=stats.sem(found))
    assert mean_interval(found)[1:] == pytest.approx(expected, abs=1e-3)


@given(values, st.floats(-1, 1))
def test_a_shift_moves_all_and_the_order_nothing(found: list[float], shift: float) -> None:
    one = mean_interval(found)
    assert mean_interval([each + shift for each in found]) == pytest.approx([each + shift for each in one], abs=1e-9)
    assert mean_interval(found[::-1]) == pytest.approx(one, abs=1e-12)
    assert one[1] <= one[0] + 1e-12
    assert one[0] <= one[2] + 1e-12


@given(marks)
def test_neither_the_order_of_seeds_nor_of_items_matters(found: dict[int, str]) -> None:
    turned = {seed: found[seed][::-1] for seed in reversed(found)}
    assert share(turned) == share(found)
    flat = share(found)
    assert flat
    assert 0 <= flat.low <= flat.value <= flat.high <= 1


@given(marks, marks)
def test_the_other_way_round_is_the_opposite(one: dict[int, str], other: dict[int, str]) -> None:
    there, back = difference(one, other), difference(other, one)
    if there is None or back is None:
        assert there is back
        assert not one.keys() & other.keys()
        return
    assert (back.value, back.low, back.high) == pytest.approx((-there.value, -there.high, -there.low), abs=1e-9)
    assert set(there.by_seed) == one.keys() & other.keys()


def test_differences_are_paired_by_seed() -> None:
    """The seeds are far apart and the difference is nearly the same at each: it is known far better than the means."""
    better = {0: of(40), 1: of(61), 2: of(80), 3: of(20)}
    worse = {0: of(35), 1: of(55), 2: of(75), 3: of(15), 9: of(99)}
    found = difference(better, worse)
    assert found
    assert found.by_seed == pytest.approx({0: 0.05, 1: 0.06, 2: 0.05, 3: 0.05})
    assert found.value == pytest.approx(0.0525)
    assert found.holds is Holds.YES
    assert found.over == "seeds"
    wide = share(better)
    assert wide
    assert wide.high - wide.low > 10 * (found.high - found.low)


def test_what_a_claim_comes_to() -> None:
    one, other = {0: of(50), 1: of(52), 2: of(51)}, {0: of(40), 1: of(43), 2: of(41)}
    found = [difference(one, other), difference(other, one), difference(one, {0: of(40), 1: of(70), 2: of(45)})]
    assert [each.holds for each in found if each] == [Holds.YES, Holds.NO, Holds.OPEN]
    same = difference(one, one)
    assert same
    assert same.holds is Holds.OPEN


def test_one_seed_has_an_interval_over_its_items() -> None:
    one, other = of(70), of(40)
    alone = share({3: one})
    assert alone
    assert (alone.low, alone.high) == crr_interval(70, 100)
    assert alone.over == "items"
    found, pair = (
        difference({3: one}, {3: other, 4: one}),
        paired_test([each == "1" for each in one], [True] * 40 + [False] * 60),
    )
    assert found
    assert pair
    assert (found.value, (found.low, found.high), found.over) == (pair.difference, pair.interval, "items")
    assert math.isclose(found.value, 0.3)


def test_nothing_to_go_by() -> None:
    assert share({}) is None
    assert share({0: ""}) is None
    assert difference({0: "1"}, {1: "1"}) is None


def test_other_items_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        difference({0: "11", 1: "10"}, {0: "1", 1: "10"})
