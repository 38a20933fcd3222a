"""Shows how often `codeclm drift` says that traffic has moved, with and without a planted shift.

    python -m benchmarks.drift_power [--repeats 100] [--permutations 400] [--json OUT]

Use cases and skills are drawn from a known distribution: 12 use cases of falling frequency, each with 8 skills that its
neighbours share in part, 3 to an instruction. A shift gives a share of the traffic skills that no seed has. No model is
asked. Ends with 1 where more than 5 % of the files that have not moved are said to have.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from benchmarks.machine import machine
from codeclm.drifting.encoded import Encoded
from codeclm.drifting.statistics import distances

SIZES = ((20, 60), (50, 60), (50, 175), (100, 175), (200, 175))
SHIFTS = (0.0, 0.1, 0.2, 0.3)
MOST = 0.05

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


def said_to_have_moved(sizes: tuple[int, int], unseen: float, repeats: int, permutations: int) -> float:
    """The share of ``repeats`` files of which it is said; ``sizes`` are those of the traffic and of the seeds."""
    found = [
        distances(
            drawn(f"traffic {sizes} {unseen} {number}", sizes[0], unseen=unseen),
            drawn(f"seeds {sizes} {unseen} {number}", sizes[1]),
            seed=number,
            permutations=permutations,
        ).moved
        for number in range(repeats)
    ]
    return sum(found) / repeats


def main() -> int:
    """Print the table; 1 where there are too many false alarms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--permutations", type=int, default=400)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows: list[dict[str, object]] = []
    false_alarms = []
    print(machine())
    print(f"| traffic | seeds | {' | '.join(f'{shift:.0%} shifted' for shift in SHIFTS)} |")
    for sizes in SIZES:
        found = [said_to_have_moved(sizes, shift, given.repeats, given.permutations) for shift in SHIFTS]
        print(f"| {sizes[0]} | {sizes[1]} | {' | '.join(f'{share:.0%}' for share in found)} |", flush=True)
        false_alarms.append(found[0])
        rows.append({"traffic": sizes[0], "seeds": sizes[1], "moved": dict(zip(map(str, SHIFTS), found, strict=True))})
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2))
    return int(max(false_alarms) > MOST)


if __name__ == "__main__":
    raise SystemExit(main())
