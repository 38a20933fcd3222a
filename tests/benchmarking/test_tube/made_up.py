"""Made-up results of the test tube, of every condition: what tables and pages are tried on. Nothing was measured."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from benchmarks.test_tube.results import Result, Score

ITEMS: Final = 120
RATES: Final = {
    "start": 0.24, "codeclm": 0.71, "metadata-only": 0.55, "metadata+rubrics": 0.62, "self-instruct": 0.38,
    "alpagasus": 0.40, "tree-instruct": 0.42, "wizardlm": 0.45, "wizardlm+": 0.60, "random": 0.63, "flipped": 0.47,
    "no-metadata": 0.5, "shuffled": 0.08, "codeclm@30": 0.46, "codeclm@60": 0.59, "codeclm@240": 0.79,
    "wizardlm+@30": 0.4, "wizardlm+@60": 0.5, "wizardlm+@240": 0.69, "codeclm:share=0.2": 0.57,
    "codeclm:share=0.4": 0.64, "codeclm:share=0.6": 0.68, "codeclm:share=0.8": 0.69, "codeclm:threshold=0": 0.61,
    "codeclm:threshold=1": 0.66, "codeclm:threshold=5": 0.72, "codeclm:threshold=7": 0.64, "codeclm:noisy-judge": 0.66,
    "metadata+rubrics:iterations=2": 0.6, "metadata+rubrics:iterations=3": 0.64,
}  # fmt: skip
"""What each condition's CRR on the user's task is drawn about."""


def results(seeds: Sequence[int] = range(5), conditions: Sequence[str] = tuple(RATES)) -> list[Result]:
    """A result of each condition at each seed; the same whenever they are asked for."""
    return [result(condition, seed) for condition in conditions for seed in seeds]


def result(condition: str, seed: int) -> Result:
    """One condition at one seed."""
    draws = random.Random(f"{condition} {seed}")
    rate = RATES.get(condition, 0.5) + random.Random(seed).gauss(0, 0.03) + draws.gauss(0, 0.015)
    start = condition == "start"
    pairs = 0 if start else int(condition.partition("@")[2] or 120)
    compares = condition.startswith("codeclm") or condition in ("random", "flipped", "no-metadata", "shuffled")
    one = (0 if start else pairs) * (1 if condition in ("self-instruct", "metadata-only") else draws.randint(2, 4))
    parts = [round(pairs * part) for part in (0.45, 0.27, 0.17)] if compares else []
    return Result(
        condition,
        seed,
        pairs,
        score(rate, draws),
        score(0.42 if start else 0.3 + 0.3 * rate * draws.uniform(0.9, 1.1), draws),
        by_iteration=(*parts, pairs - sum(parts)) if pairs else (),
        calls={"strong": 3 * one, "start": one * compares, "judge": 2 * one * compares} if pairs else {},
        prompt_tokens=220 * one,
        completion_tokens=70 * one,
        latent=None if start else rate * 0.8,
        on_task=None if start else min(1.0, rate * 1.3),
        steps=None if start else 1 + 2 * rate,
        seconds={"run": 9.5, "train": 30.25, "evaluate": 4.0},
    )


def score(rate: float, draws: random.Random) -> Score:
    """A model that recovers items at this rate, the fewer the more steps they have."""
    steps = [1 + place % 4 for place in range(ITEMS)]
    recovered = ["1" if draws.random() < rate * (1.35 - 0.14 * each) else "0" for each in steps]
    right = [mark if draws.random() < 0.94 else "0" for mark in recovered]
    wins = recovered.count("1") // 12
    ties = recovered.count("1") - wins
    return Score(wins, ties, recovered.count("0"), "".join(recovered), "".join(right), "".join(map(str, steps)))
