"""A user of the world and what is drawn for them: seeds, test items, and what others ask.

A user has three use cases and twelve skills, of which the start checkpoint is fluent in six, and asks for one to four
steps on lists of three to six items. General seeds, such as Alpaca's are beside a user's task, are of the whole world
and simpler: one to three steps, mostly one, on lists of three or four. All of it is a function of the seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.test_tube.pretraining import FLUENT, LATENT
from benchmarks.test_tube.skills import SKILLS, Skill
from benchmarks.test_tube.world import USE_CASES, Task, UseCase, task


@dataclass(frozen=True, slots=True)
class User:
    """What a user asks about, and what answers take."""

    use_cases: tuple[UseCase, ...]
    skills: tuple[Skill, ...]

    def asks(self, draws: random.Random) -> Task:
        """An instruction of theirs."""
        return _asked(self.use_cases, self.skills, draws)


def user(seed: int) -> User:
    """The user of an experiment's seed."""
    draws = random.Random(f"user {seed}")
    return User(tuple(draws.sample(USE_CASES, 3)), (*draws.sample(FLUENT, 6), *draws.sample(LATENT, 6)))


def of_the_world(draws: random.Random) -> Task:
    """As difficult as a user's, of any use case and skills."""
    return _asked(USE_CASES, SKILLS, draws)


def general(draws: random.Random) -> Task:
    """A general seed."""
    skills = draws.choices(SKILLS, k=draws.choice((1, 1, 1, 2, 2, 3)))
    return task(draws.choice(USE_CASES), skills, draws.randint(3, 4), draws)


def _asked(use_cases: Sequence[UseCase], skills: Sequence[Skill], draws: random.Random) -> Task:
    steps = draws.choices(skills, k=draws.randint(1, 4))
    return task(draws.choice(use_cases), steps, draws.randint(3, 6), draws)


def drawn(name: str, seed: int, count: int, draw: Callable[[random.Random], Task]) -> list[Task]:
    """``count`` different instructions. ``name`` tells sets of one seed apart."""
    draws = random.Random(f"{name} {seed}")
    found: dict[str, Task] = {}
    while len(found) < count:
        one = draw(draws)
        found.setdefault(one.text, one)
    return list(found.values())


def write_instructions(path: Path, tasks: list[Task]) -> None:
    """A file of instructions, as seeds and benchmarks are read."""
    rows = (json.dumps({"id": f"{path.stem}-{number}", "instruction": one.text}) for number, one in enumerate(tasks))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_metadata(path: Path, tasks: list[Task]) -> None:
    """A file of the metadata of instructions, at most three skills each."""
    rows = []
    for one in tasks:
        skills = list(dict.fromkeys(skill.name for skill in one.skills))[:3]
        rows.append(json.dumps({"use_case": one.use_case.name, "skills": skills}))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
