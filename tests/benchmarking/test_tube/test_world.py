"""The world: every instruction can be read back, every right answer is right, and no wrong one is."""

from __future__ import annotations

import random
import re

import pytest
from benchmarks.test_tube.pretraining import FLUENT, LATENT, exercise
from benchmarks.test_tube.skills import BY_PHRASING, SKILLS, Skill
from benchmarks.test_tube.tokens import words
from benchmarks.test_tube.users import drawn, general, of_the_world, user
from benchmarks.test_tube.world import (
    KINDS,
    LONGEST,
    USE_CASES,
    Task,
    credit,
    read,
    task,
    with_first_step,
    with_item,
    with_step,
)
from hypothesis import given
from hypothesis import strategies as st

tasks = st.builds(
    lambda use_case, skills, length, seed: task(use_case, skills, length, random.Random(seed)),
    st.sampled_from(USE_CASES),
    st.lists(st.sampled_from(SKILLS), min_size=1, max_size=5),
    st.integers(2, LONGEST),
    st.integers(0, 10**9),
)


@given(tasks, st.sampled_from(SKILLS), st.randoms(use_true_random=False))
def test_an_instruction_is_read_as_what_it_was_written_from(one: Task, skill: Skill, draws: random.Random) -> None:
    for each in (one, with_step(one, skill, draws), with_first_step(one, skill, draws), with_item(one, draws)):
        assert read(each.text) == each
        assert credit(each, each.answer()) == 1


@given(tasks, st.data())
def test_an_answer_with_another_result_is_wrong(one: Task, data: st.DataObject) -> None:
    steps = one.answer().split(" ; ")
    place = data.draw(st.integers(0, len(steps) - 1))
    torn = " ; ".join((*steps[:place], steps[place] + " friday z"))
    assert credit(one, torn) == place / len(steps) / 2


@given(st.text())
def test_any_other_text_is_no_instruction_and_any_text_can_be_scored(text: str) -> None:
    assert read(text) is None
    one = task(USE_CASES[0], SKILLS[:2], 4, random.Random(0))
    assert 0 <= credit(one, text) < 1


def test_an_answer_is_computed_step_by_step() -> None:
    one = read("Duty roster for the week: friday monday sunday. Turn the order around, then drop the last.")
    assert one is not None
    assert one.answer() == "reverse : sunday monday friday ; trim : sunday monday"
    assert one.notation() == "run reverse trim on friday monday sunday"
    assert credit(one, "Trim: sunday  monday") == 1  # the result counts, not how it was come to
    assert credit(one, "reverse : sunday monday friday ; trim : sunday") == 0.25


def test_skills_are_told_apart_by_what_they_do_and_by_every_phrasing() -> None:
    lists = ((4, 1, 5, 0, 6), (2, 6, 1, 3), (6, 0, 5, 2, 3, 1))
    done = {tuple(skill.apply(items, 7) for items in lists) for skill in SKILLS}
    assert len(done) == len(SKILLS) >= 32
    assert len(BY_PHRASING) == sum(len(skill.phrasings) for skill in SKILLS)
    assert {*FLUENT, *LATENT} == set(SKILLS)
    assert not set(FLUENT) & set(LATENT)


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.operation)
def test_a_skill_leaves_items_of_the_list_s_kind(skill: Skill) -> None:
    draws = random.Random(1)
    for use_case in USE_CASES:
        count = len(KINDS[use_case.kind])
        for length in range(1, LONGEST + 1):
            one = task(use_case, [skill], length, draws)
            [result] = one.results()
            assert result
            assert set(result.split()) <= set(KINDS[use_case.kind])
            assert len(result.split()) <= count + 1


def test_the_tokenizer_has_every_word() -> None:
    known, draws = set(words()), random.Random(2)
    for _ in range(3000):
        asked, answer = exercise(draws)
        assert set(re.findall(r"\w+|[^\w\s]", f"{asked} {answer}".lower())) <= known
        one = of_the_world(draws)
        assert set(re.findall(r"\w+|[^\w\s]", f"{one.text} {one.answer()}".lower())) <= known


def test_a_user_asks_within_their_use_cases_and_skills_the_same_at_the_same_seed() -> None:
    one = user(3)
    asked = drawn("test", 3, 200, one.asks)
    assert asked == drawn("test", 3, 200, user(3).asks) != drawn("test", 4, 200, one.asks)
    assert {each.use_case for each in asked} == set(one.use_cases)
    assert {skill for each in asked for skill in each.skills} == set(one.skills)
    assert len({each.text for each in asked}) == 200
    assert sum(skill in LATENT for skill in one.skills) == 6
    assert len({skill for each in drawn("general", 3, 300, general) for skill in each.skills}) == len(SKILLS)
