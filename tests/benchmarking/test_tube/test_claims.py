"""The claims, checked on made-up results."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from benchmarks.test_tube.arms import arms
from benchmarks.test_tube.claims import CLAIMS, INSTRUMENT, PAPER, check
from benchmarks.test_tube.conditions import BREAKS, SETTINGS, by_condition, settings, sizes, still_right
from benchmarks.test_tube.intervals import Holds
from benchmarks.test_tube.results import Result
from tests.benchmarking.test_tube import made_up


def at(condition: str, seed: int, recovered: str, world: str = "") -> Result:
    made = made_up.result(condition, seed)
    world_score = replace(made.world, right=world or made.world.right)
    return replace(made, user=replace(made.user, recovered=recovered), world=world_score)


def rates(given: Mapping[str, int]) -> list[Result]:
    """Three seeds of each condition, whose CRR is so many of 50, one more at each seed."""
    return [
        at(name, seed, "1" * (rate + seed) + "0" * (50 - rate - seed))
        for name, rate in given.items()
        for seed in range(3)
    ]


def test_they_are_the_paper_s_order_and_the_ways_to_break_it() -> None:
    told = {(claim.better, claim.worse) for claim in CLAIMS if claim.kind == PAPER}
    chain = ["codeclm", "metadata+rubrics", "metadata-only", "self-instruct"]
    assert told == {*pairwise(chain), ("codeclm", "random")}
    broken = {claim.worse for claim in CLAIMS if claim.kind == INSTRUMENT and claim.better == "codeclm"}
    assert broken == {"metadata+rubrics", "metadata-only", *BREAKS}
    assert {claim.better for claim in CLAIMS} | {claim.worse for claim in CLAIMS} <= {arm.name for arm in arms(120)}


def test_each_comes_to_what_was_measured() -> None:
    given = {"codeclm": 40, "metadata+rubrics": 30, "metadata-only": 35, "self-instruct": 35}
    results = [*rates(given), at("flipped", 0, "1" * 41 + "0" * 9), at("flipped", 1, "1" * 10 + "0" * 40)]
    found = {
        one.claim.text: one
        for one in check(by_condition(results))
        if one.claim.kind == PAPER or "flip" in one.claim.worse
    }
    assert {text: one.verdict for text, one in found.items()} == {
        "codeclm > metadata+rubrics": Holds.YES,
        "metadata+rubrics > metadata-only": Holds.NO,
        "metadata-only > self-instruct": Holds.OPEN,
        "codeclm > flipped": Holds.OPEN,
    }
    assert found["codeclm > metadata+rubrics"].difference.value == pytest.approx(0.2)
    assert (found["codeclm > metadata+rubrics"].held, found["codeclm > metadata+rubrics"].seeds) == (3, 3)
    assert (found["codeclm > flipped"].held, found["codeclm > flipped"].seeds) == (1, 2)
    assert found["metadata-only > self-instruct"].held == 0


def test_still_right_is_of_what_the_start_had_right() -> None:
    results = [
        at("start", 0, "0", "1100"), at("start", 1, "0", "1111"), at("start", 2, "0", "0000"),
        at("codeclm", 0, "1", "1011"), at("codeclm", 1, "1", "1110"), at("codeclm", 2, "1", "1111"),
        at("codeclm", 3, "1", "1111"),
    ]  # fmt: skip
    found = still_right(by_condition(results), "codeclm")
    assert found
    assert found.by_seed == {0: 0.5, 1: 0.75}
    assert still_right(by_condition(results), "start") is None
    assert still_right(by_condition(results[3:]), "codeclm") is None


def test_the_points_of_studies() -> None:
    found = by_condition(made_up.results([0]))
    assert sizes(found, "codeclm") == [
        (30, "codeclm@30"), (60, "codeclm@60"), (120, "codeclm"), (240, "codeclm@240"),
    ]  # fmt: skip
    assert [at for at, _ in settings(found, SETTINGS["share"])] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert settings(found, SETTINGS["threshold"])[2] == (3.0, "codeclm")


def test_two_results_of_one_are_an_error() -> None:
    twice = [made_up.result("codeclm", 1)] * 2
    with pytest.raises(ValueError, match="codeclm has two results of seed 1"):
        by_condition(twice)
