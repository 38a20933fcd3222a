"""The form in which benchmarks give what they measured."""

import json
import math
import statistics

import pytest
from benchmarks.figures import Figure, figure, from_json, to_json
from hypothesis import given
from hypothesis import strategies as st

finite = st.floats(-1e12, 1e12)


@given(st.lists(finite, min_size=1, max_size=9), st.sampled_from(["lower", "higher"]))
def test_repeats_become_their_median_with_their_range(repeats: list[float], better: str) -> None:
    one = figure("CPU", "ms/call", repeats, better=better)  # type: ignore[arg-type]
    assert (one.value, one.low, one.high) == (statistics.median(repeats), min(repeats), max(repeats))
    assert from_json(json.loads(json.dumps(to_json([one])))) == [one]


def test_a_number_is_a_single_repeat() -> None:
    assert figure("peak", "MB", 12) == Figure("peak", 12.0, "MB", "lower", 12.0, 12.0)


def test_nothing_measured_is_no_figure() -> None:
    with pytest.raises(ValueError, match="CPU: nothing was measured"):
        figure("CPU", "s", [])


@pytest.mark.parametrize(
    ("name", "value", "better"),
    [("", 1.0, "lower"), ("a", math.nan, "lower"), ("a", math.inf, "lower"), ("a", 1, "up")],
)
def test_what_can_not_be_compared_is_refused(name: str, value: float, better: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (each says what it is given)
        Figure(name, value, "s", better, value, value)  # type: ignore[arg-type]


def test_a_value_outside_of_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="does not hold"):
        Figure("a", 3.0, "s", "lower", 1.0, 2.0)


def test_two_figures_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two figures are named 'a'"):
        to_json([figure("a", "s", 1), figure("a", "s", 2)])


@pytest.mark.parametrize("kept", [{"a": {"value": 1.0}}, {"a": {"value": 1.0, "other": 2}}, {"a": 3}])
def test_what_is_no_figure_in_a_file_is_told(kept: dict[str, dict[str, float]]) -> None:
    with pytest.raises(ValueError, match="not figures"):
        from_json(kept)
