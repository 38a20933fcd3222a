"""The judge: both orders, one comparison."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.world_client import WorldClient

from codeclm.errors import Unparseable
from codeclm.judge import compare
from codeclm.prompts.templates import read
from codeclm.records import Answer, Comparison, Completion, Request


def judging(scores: dict[str, tuple[float, float]]) -> WorldClient:
    """A judge that scores by whose answer it is shown first."""

    def twist(request: Request, completion: Completion) -> Completion:
        prompt = read(request.messages[0].content)
        assert prompt is not None
        first, second = scores[prompt.fields["answer_1"]]
        return replace(completion, text=f"{first:g} {second:g}")

    return WorldClient(form="text", twist=twist)


async def test_each_answer_is_shown_first_once_and_its_score_is_the_mean() -> None:
    judge = judging({"strong's": (9, 4), "target's": (6, 8)})
    found = await compare("Why?", Answer("strong's"), Answer("target's"), judge=judge)
    assert found == Comparison(strong_first=(9, 4), target_first=(8, 6))
    assert (found.strong, found.target, found.gap) == (8.5, 5, 3.5)


async def test_a_liking_for_the_second_place_cancels_out() -> None:
    judge = judging({"a": (5, 9), "b": (5, 9)})
    assert (await compare("Why?", Answer("a"), Answer("b"), judge=judge)).gap == 0


async def test_one_unreadable_order_makes_the_whole_comparison_invalid() -> None:
    def twist(request: Request, completion: Completion) -> Completion:
        prompt = read(request.messages[0].content)
        assert prompt is not None
        return replace(completion, text="8 3" if prompt.fields["answer_1"] == "a" else "Both are fine.")

    with pytest.raises(Unparseable):
        await compare("Why?", Answer("a"), Answer("b"), judge=WorldClient(form="text", twist=twist))


async def test_the_judge_is_asked_at_its_own_temperature() -> None:
    judge = judging({"a": (5, 5), "b": (5, 5)})
    await compare("Why?", Answer("a"), Answer("b"), judge=judge, temperature=0.3)
    assert [request.temperature for request in judge.requests] == [0.3, 0.3]
