"""The permutation test of a drift: silent without a shift, sharp with one, and a function of what it is given."""

from __future__ import annotations

import random

import pytest
from benchmarks.drift_power import drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from codeclm.drifting.encoded import KINDS, Encoded
from codeclm.drifting.statistics import PERMUTATIONS, Counted, Distances, distances
from codeclm.text_measures import jensen_shannon

names = st.sampled_from("abcdef")
instructions = st.builds(
    Encoded, id=st.just(""), instruction=st.just(""), use_case=names, skills=st.lists(names, unique=True).map(tuple)
)
sides = st.lists(instructions, min_size=1, max_size=12)


def false_alarms(size: int, permutations: int) -> list[Distances]:
    """What is found of 200 files that have not moved; the rate of false alarms is the same at any number of draws."""
    return [
        distances(drawn(f"traffic {n}", size), drawn(f"seeds {n}", size), seed=n, permutations=permutations)
        for n in range(200)
    ]


def test_of_200_files_that_have_not_moved_about_5_percent_are_below_5_percent() -> None:
    p_values = [one.p_value or 0.0 for one in false_alarms(30, 39)]
    assert sum(p <= 0.05 for p in p_values) <= 15  # 10 expected; more than 15 in 4 % of such draws
    assert 0.4 < sum(p_values) / 200 < 0.7  # and not since it always says 1


@pytest.mark.slow
def test_of_200_files_that_have_not_moved_at_most_5_percent_are_said_to_have() -> None:
    assert sum(one.moved for one in false_alarms(60, 399)) <= 10


@pytest.mark.parametrize("number", range(5))
def test_a_third_of_the_traffic_with_unseen_skills_is_always_found(number: int) -> None:
    found = distances(drawn(f"new {number}", 200, unseen=0.3), drawn(f"seeds {number}", 175), seed=0)
    assert found.p_value is not None
    assert found.p_value < 0.01
    assert found.moved
    assert found.permutations == PERMUTATIONS


def test_a_shift_in_skills_is_not_drowned_by_chance_in_use_cases() -> None:
    """Every use case is another one, so that nothing can be told by them."""
    rng = random.Random(0)

    def side(name: str, unseen: float) -> list[Encoded]:
        return [
            Encoded("", "", f"{name} {number}", ("unseen",) if rng.random() < unseen else (f"skill {number % 7}",))
            for number in range(120)
        ]

    assert distances(side("now", 0.3), side("before", 0.0), seed=0).moved


@given(sides, sides, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_neither_order_nor_which_side_is_which_changes_anything_but_the_draws(
    traffic: list[Encoded], known: list[Encoded], order: random.Random
) -> None:
    found = distances(traffic, known, seed=3, permutations=30)
    shuffled = order.sample(traffic, len(traffic)), order.sample(known, len(known))
    assert distances(*shuffled, seed=3, permutations=30) == found
    assert found.p_value is not None
    assert 1 / 31 <= found.p_value <= 1
    if len(traffic) != len(known):
        assert distances(known, traffic, seed=3, permutations=30) == found


@given(sides, st.data())
@settings(max_examples=100, deadline=None)
def test_a_division_is_as_far_apart_as_the_two_lists_of_names(side: list[Encoded], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.sampled_from(range(len(side))), unique=True))
    for kind in KINDS:
        part = [name for place in places for name in side[place].names(kind)]
        rest = [name for place, one in enumerate(side) if place not in places for name in one.names(kind)]
        apart = jensen_shannon(part, rest)
        if apart is None:  # of one side nothing is known, or of both
            apart = float(bool(part) != bool(rest))
        assert Counted(side, kind).distance_of(places) == pytest.approx(apart, abs=1e-6)


@given(sides)
@settings(max_examples=20, deadline=None)
def test_equal_sides_are_as_near_as_can_be(side: list[Encoded]) -> None:
    found = distances(side, side, seed=0, permutations=30)
    assert found.use_cases == 0
    assert found.skills in (0, None)
    assert found.p_value == 1


def test_sides_with_nothing_in_common_are_as_far_as_can_be() -> None:
    traffic = [Encoded("", "", "poems", ("rhyme",))] * 12
    known = [Encoded("", "", "letters", ("tone",))] * 12
    found = distances(traffic, known, seed=0, permutations=199)
    assert (found.use_cases, found.skills, found.p_value) == (1, 1, 1 / 200)


def test_where_a_side_is_empty_there_is_nothing_to_test() -> None:
    assert distances([], drawn("seeds", 5), seed=0) == Distances(None, None, None, 0)
    assert not distances([], [], seed=0).moved
