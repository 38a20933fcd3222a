"""Instructions with metadata drawn from a distribution that is known."""

from __future__ import annotations

import random

from codeclm.drifting.encoded import Encoded

_USE_CASES = [f"use case {number}" for number in range(12)]
_SKILLS = 8  # that instructions of one use case draw on


def drawn(name: object, count: int, *, unseen: float = 0.0) -> list[Encoded]:
    """``count`` instructions; so many of them, as a share, take skills that no other draw without ``unseen`` has."""
    rng = random.Random(f"draws/{name}")
    weights = [1 / (place + 1) for place in range(len(_USE_CASES))]
    found = []
    for number in range(count):
        [place] = rng.choices(range(len(_USE_CASES)), weights)
        of_it = [f"skill {5 * place + near}" for near in range(_SKILLS)]
        shifted = rng.random() < unseen
        skills = rng.sample([f"unseen {near}" for near in range(_SKILLS)] if shifted else of_it, 3)
        found.append(Encoded(f"{name}:{number}", f"text {number}", _USE_CASES[place], tuple(skills)))
    return found
