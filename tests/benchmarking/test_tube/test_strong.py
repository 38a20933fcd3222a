"""The strong model's roles by real runs over HTTP: what each method makes in the test tube's world."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest
from benchmarks.test_tube import strong, users
from benchmarks.test_tube.arms import arms
from benchmarks.test_tube.breaks import shuffle_answers
from benchmarks.test_tube.strong import NOISE, SLIP, answer
from benchmarks.test_tube.world import LONGEST, MOST_STEPS, Task, credit, read

from codeclm.config import RunConfig
from codeclm.generate import generate
from codeclm.methods import METHODS
from codeclm.simulator.server import Simulator

SIZE = 24


def _made(tmp_path: Path, method: dict[str, Any], *, judge: str = "judge") -> list[dict[str, Any]]:
    """The examples of a run in the world; the strong model's double, with slips of its own, is the target."""
    own = users.user(0)
    users.write_instructions(tmp_path / "seeds.jsonl", users.drawn("seeds", 0, 20, own.asks))
    users.write_instructions(tmp_path / "general.jsonl", users.drawn("general", 0, 30, users.general))

    async def run() -> None:
        async with Simulator(reply=strong.reply) as server:
            models = {
                role: {"model": name, "base_url": server.base_url}
                for role, name in {"strong": "strong", "target": "strong-b", "judge": judge}.items()
            }
            config = RunConfig.model_validate(
                {
                    "seeds": tmp_path / "seeds.jsonl",
                    "general_seeds": tmp_path / "general.jsonl",
                    "size": SIZE,
                    "run_dir": tmp_path / "run",
                    "models": models,
                    "method": {"near_duplicates": 1.0, "pool": 30, **method},
                }
            )
            manifest = (await generate(config)).manifest
            assert manifest["counts"]["failed"] == 0
            assert not manifest["faults"]

    asyncio.run(run())
    return [json.loads(line) for line in (tmp_path / "run" / "examples.jsonl").read_text().splitlines()]


def _task(row: dict[str, Any]) -> Task:
    found = read(row["messages"][0]["content"])
    assert found is not None
    return found


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("codeclm", "random")])
def test_every_method_makes_instructions_of_the_world(name: str, tmp_path: Path) -> None:
    [arm] = [arm for arm in arms(SIZE) if arm.name == name]
    rows = _made(tmp_path, dict(arm.method))
    assert len(rows) == SIZE
    tasks = [_task(row) for row in rows]
    assert all(len(one.phrasings) <= MOST_STEPS and len(one.items) <= LONGEST for one in tasks)
    assert sum(credit(one, row["messages"][1]["content"]) == 1 for one, row in zip(tasks, rows, strict=True)) > 18
    own = users.user(0)
    on_task = all(skill in own.skills for one in tasks for skill in one.skills)
    assert on_task == (name in ("metadata-only", "metadata+rubrics"))
    steps = sum(len(one.phrasings) for one in tasks) / SIZE
    assert (steps > 3.5) == (name == "metadata+rubrics") or name in ("wizardlm+", "tree-instruct")


def test_what_is_improved_asks_for_what_its_action_says(tmp_path: Path) -> None:
    for row in _made(tmp_path, {"name": "metadata+rubrics", "iterations": 2}):
        before, after = read(row["history"][0]["instruction"]), _task(row)
        assert before is not None
        assert before.use_case == after.use_case
        action = row["history"][1]["action"]
        if "longer" in action:
            assert after.items[: len(before.items)] == before.items
            assert len(after.items) == len(before.items) + (2 if "two" in action else 1)
        else:
            [added] = {skill.name for skill in after.skills if skill.name in action}
            assert len(after.skills) == len(before.skills) + 1
            assert added in action


def test_slips_are_as_frequent_as_said_and_go_on_as_if_all_were_well() -> None:
    draws = random.Random(5)
    tasks = [users.of_the_world(draws) for _ in range(3000)]
    wrong = sum(answer(one.text, draws) != one.answer() for one in tasks)
    expected = sum(1 - (1 - SLIP) ** len(one.phrasings) for one in tasks)
    assert 0.7 * expected < wrong < 1.3 * expected


def _scores(name: str, first: str, second: str, instruction: str) -> tuple[float, float]:
    fields = {"instruction": instruction, "answer_1": first, "answer_2": second}
    found = json.loads(strong.ROLES["judge"](name, fields, "json", random.Random(0)))
    return found["score_1"], found["score_2"]


def test_the_exact_judge_is_the_checker_and_the_noisy_one_leans() -> None:
    draws = random.Random(6)
    leans, wrong_ahead = [], 0
    for one in (users.of_the_world(draws) for _ in range(300)):
        right, wrong = one.answer(), one.answer() + " friday"
        assert _scores("judge", right, right, one.text) == (10, 10)
        first, second = _scores("judge", right, wrong, one.text)
        assert (second, first) == _scores("judge", wrong, right, one.text)
        assert first == 10 > second
        one_way, other_way = (_scores("judge-noisy", *pair, one.text) for pair in ((wrong, wrong), (wrong, wrong)))
        assert one_way == other_way
        leans.append(one_way[0] - one_way[1])
        noisy = _scores("judge-noisy", wrong, right, one.text)
        wrong_ahead += noisy[0] >= noisy[1]
        assert abs(noisy[1] - 10) <= NOISE + 0.5
    assert 0.5 < sum(leans) / len(leans) < 2
    assert 0 < wrong_ahead < 150


def test_shuffled_answers_are_the_same_ones_and_none_is_in_its_place(tmp_path: Path) -> None:
    rows = _made(tmp_path, {"name": "metadata-only"})
    shuffle_answers(tmp_path / "run", tmp_path / "out", 1)
    shuffled = [json.loads(line) for line in (tmp_path / "out" / "examples.jsonl").read_text().splitlines()]
    before, after = ([row["messages"][1]["content"] for row in each] for each in (rows, shuffled))
    assert sorted(before) == sorted(after)
    assert [row["messages"][0] for row in rows] == [row["messages"][0] for row in shuffled]
    assert sum(one == other for one, other in zip(before, after, strict=True)) <= 1
