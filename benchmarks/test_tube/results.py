"""What one condition came to at one seed, as a file: the experiment writes them, tables and pictures read them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Score:
    """A model on one test set, held against the strong model in both orders (strict rule).

    ``recovered`` and ``right`` have a ``1`` or ``0`` for every item, in the test set's order: whether the model won or
    tied, and whether its answer is right by the exact checker. ``steps`` is each item's number of steps, a digit each.
    """

    wins: int
    ties: int
    losses: int
    recovered: str
    right: str
    steps: str

    @property
    def crr(self) -> float:
        """Capacity Recovery Ratio, 0 to 1."""
        return self.recovered.count("1") / len(self.recovered)

    @property
    def accuracy(self) -> float:
        """The share of answers that are right, 0 to 1."""
        return self.right.count("1") / len(self.right)


@dataclass(frozen=True, slots=True)
class Result:
    """One condition at one seed. ``user`` is the user's task, ``world`` all the world.

    ``pairs`` are what it was trained on (0: the start checkpoint). ``by_iteration`` are its pairs by the iteration they
    were kept at, the first first. ``calls`` are those of its run, by model; ``tokens`` of them all. ``latent`` is the
    share of the steps of its pairs that are of latent skills, ``on_task`` the share that are of the user's skills,
    ``steps`` the mean number in a pair; None without pairs.
    """

    condition: str
    seed: int
    pairs: int
    user: Score
    world: Score
    by_iteration: tuple[int, ...] = ()
    calls: Mapping[str, int] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latent: float | None = None
    on_task: float | None = None
    steps: float | None = None
    tested: int = 0
    """How many of its pairs have the very instruction of a test item."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """By phase (run, train, evaluate). What it took says nothing of what it came to."""


def write(path: Path, result: Result) -> None:
    """Write a result whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)


def read(path: Path) -> Result:
    """The result in a file."""
    values: dict[str, Any] = json.loads(path.read_bytes())
    user, world = Score(**values.pop("user")), Score(**values.pop("world"))
    return Result(**{**values, "by_iteration": tuple(values["by_iteration"])}, user=user, world=world)
