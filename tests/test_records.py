"""The few rules that records hold themselves."""

from __future__ import annotations

import pytest

from codeclm.records import Answer, Comparison, Instruction, Iteration


def iteration(strong: float, target: float, *, strong_cut: bool = False, target_cut: bool = False) -> Iteration:
    scores = (strong, target)
    return Iteration(Instruction("x"), Answer("s", strong_cut), Answer("t", target_cut), Comparison(scores, scores))


@pytest.mark.parametrize(
    ("strong", "target", "passes"),
    [(9, 5.5, True), (9, 6, False), (8.3, 5.3, False), (7.1, 4.1, False), (5, 9, True), (6, 9, False), (5, 5, False)],
)
def test_the_gap_must_be_larger_than_the_threshold_in_either_direction(
    strong: float, target: float, passes: bool
) -> None:
    assert iteration(strong, target).passes(3) is passes


def test_the_better_answer_is_taken_and_must_be_whole() -> None:
    assert iteration(9, 2).better == Answer("s")
    assert iteration(2, 9).better == Answer("t")
    assert not iteration(9, 2, strong_cut=True).passes(3)
    assert iteration(9, 2, target_cut=True).passes(3)
    assert iteration(9, 2, strong_cut=True).lack(3) == "the better answer was cut off"
    assert iteration(9, 8, strong_cut=True).lack(3) == "gap within the threshold"
