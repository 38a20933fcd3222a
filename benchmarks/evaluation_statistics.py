"""Shows that the intervals of an evaluation cover the truth, and that the paired test errs as often as it says.

    python -m benchmarks.evaluation_statistics [--simulations 1000] [--seed 1] [--json OUT]

An evaluation is simulated from the judge's scores on: items differ in how hard they are, the judge is unsure and likes
the first place, both orders are judged, and `verdicts.summary` makes totals and interval of them. The true CRR is what
the same world gives on a million items. Two candidates that are equally good, on the same items, are compared by the
paired test. A simulated share wanders by chance: of 1,000, by 1.4 points either way. So beside it stands what is
computed exactly for that share, and the test is tried 10 times as often. Ends with 1 where a simulated coverage is
outside of 93-97 % or a false-positive rate outside of 4-6 % by more than that chance, or an exact one at all.
"""

import argparse
import json
import random
import sys
import time
from math import comb, sqrt
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from codeclm.evaluating.statistics import crr_interval, paired_test
from codeclm.evaluating.verdicts import Compared, crr, result, summary

SIZES = (80, 180, 218, 250)
ABILITIES = {"weak": -1.6, "middling": -0.6, "good": 0.2, "near the strong model": 1.2}
PLACE = 0.8
"""How much the simulated judge likes the first place, in points of its score."""


def item(rng: random.Random, name: str, ability: float, hardness: float) -> Compared:
    """One judged item: the candidate's true gap and the judge's noise and liking for the first place."""
    gap = ability + hardness + rng.gauss(0, 0.7)

    def scores(place: float) -> tuple[float, float]:
        seen = round(gap + place + rng.gauss(0, 0.6))
        return max(1.0, min(10.0, 7.0 + seen)), 7.0

    return Compared(name, candidate_first=scores(PLACE), reference_first=scores(-PLACE))


def evaluation(rng: random.Random, size: int, ability: float) -> list[Compared]:
    """A benchmark of ``size`` items, each of its own hardness, drawn anew."""
    return [item(rng, str(number), ability, rng.gauss(0, 1)) for number in range(size)]


def true_crr(ability: float, seed: int, items: int = 1_000_000) -> float:
    """The CRR of the world itself."""
    found = summary_crr(evaluation(random.Random(seed), items, ability))
    assert found is not None
    return found


def summary_crr(compared: list[Compared]) -> float | None:
    """The CRR by the strict rule, without the rest of a summary."""
    lost = sum(
        one.candidate_first is not None
        and one.reference_first is not None
        and one.candidate_first[0] < one.candidate_first[1]
        and one.reference_first[0] < one.reference_first[1]
        for one in compared
    )
    return crr({"wins": len(compared) - lost, "ties": 0, "losses": lost})


def coverage(size: int, ability: float, truth: float, simulations: int, seed: int) -> dict[str, Any]:
    """How often the interval of a simulated evaluation holds the truth."""
    rng, covered, widths = random.Random(f"{seed}/{size}/{ability}"), 0, 0.0
    for _ in range(simulations):
        found = summary(evaluation(rng, size, ability), "strict", candidate="c", reference="r")
        low, high = found["crr_interval"]
        covered += low <= truth <= high
        widths += high - low
    return {
        "items": size,
        "truth": truth,
        "covered": covered / simulations,
        "exactly": exact_coverage(size, truth),
        "width": widths / simulations,
    }


def exact_coverage(size: int, truth: float) -> float:
    """The same without chance: over every possible number of items recovered."""
    covered = 0.0
    for count in range(size + 1):
        low, high = crr_interval(count, size) or (1.0, 0.0)
        covered += (low <= truth <= high) * comb(size, count) * truth**count * (1 - truth) ** (size - count)
    return covered


def recovered(first: float, second: float, seed: int, items: int = 100_000) -> list[tuple[bool, bool]]:
    """Which of two candidates recovers, on each of many items of the same world."""
    rng, pairs = random.Random(f"{seed}/{first}/{second}"), []
    for _ in range(items):
        hardness = rng.gauss(0, 1)
        one, other = (result(item(rng, "", ability, hardness), "strict") for ability in (first, second))
        pairs.append((one != "loss", other != "loss"))
    return pairs


def rejections(size: int, world: list[tuple[bool, bool]], simulations: int, seed: int) -> dict[str, Any]:
    """How often the paired test says, at 5 %, that two candidates differ on items drawn from the world."""
    rng, rejected, exact = random.Random(f"{seed}/{size}"), 0, 0
    for _ in range(simulations):
        found = paired_test(*zip(*rng.choices(world, k=size), strict=True))
        assert found is not None
        rejected += found.p < 0.05
        exact += found.p_exact < 0.05
    return {
        "items": size,
        "differing": sum(one != other for one, other in world) / len(world),
        "rejected": rejected / simulations,
        "by_the_exact_test": exact / simulations,
    }


def exact_rejections(size: int, differing: float) -> float:
    """The false-positive rate without chance, where this share of the items differs between two equals."""
    total = 0.0
    for number in range(size + 1):
        chance = comb(size, number) * differing**number * (1 - differing) ** (size - number)
        if chance < 1e-7:
            continue
        for ahead in range(number + 1):
            first = [True] * ahead + [False] * (number - ahead)
            found = paired_test(first, [not each for each in first])
            total += chance * comb(number, ahead) / 2**number * (found is not None and found.p < 0.05)
    return total


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Coverage of the intervals and error rate of the paired test.")
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    began = time.perf_counter()
    figures: dict[str, Any] = {"machine": machine(), "simulations": args.simulations, "seed": args.seed}
    print(figures["machine"])

    tests = 10 * args.simulations

    def outside(share: float, low: float, high: float, times: int) -> bool:
        chance = 1.96 * sqrt(low * (1 - low) / times)
        return not low - chance <= share <= high + chance

    print("\n95 % interval of CRR: how often it holds the truth")
    figures["coverage"], bad = [], False
    for name, ability in ABILITIES.items():
        truth = true_crr(ability, args.seed)
        for size in SIZES:
            row = {"candidate": name, **coverage(size, ability, truth, args.simulations, args.seed)}
            figures["coverage"].append(row)
            bad |= outside(row["covered"], 0.93, 0.97, args.simulations) or not 0.93 <= row["exactly"] <= 0.97
            print(
                f"{name:>22}, true CRR {truth:.3f}, {size:>3} items: {row['covered']:.1%}, "
                f"exactly {row['exactly']:.1%}, {100 * row['width']:.1f} points wide",
                flush=True,
            )
    print("\nPaired test at 5 %: how often it says that two equals differ, and that two who differ do")
    figures["false_positives"], figures["power"] = [], []
    for name, ability in ABILITIES.items():
        world = recovered(ability, ability, args.seed)
        for size in SIZES:
            row = {"candidate": name, **rejections(size, world, tests, args.seed)}
            row["exactly"] = exact_rejections(size, row["differing"])
            figures["false_positives"].append(row)
            bad |= outside(row["rejected"], 0.04, 0.06, tests) or not 0.04 <= row["exactly"] <= 0.06
            print(
                f"{size:>3} items, two that are {name}: {row['rejected']:.2%}, exactly {row['exactly']:.2%} "
                f"({row['differing']:.0%} of the items differ; the exact test {row['by_the_exact_test']:.2%})",
                flush=True,
            )
    for better in (0.3, 0.6, 0.9):
        world = recovered(-0.6 + better, -0.6, args.seed)
        points = 100 * (sum(one for one, _ in world) - sum(other for _, other in world)) / len(world)
        for size in SIZES:
            row = {"better_by": points / 100, **rejections(size, world, tests, args.seed)}
            figures["power"].append(row)
            print(
                f"{size:>3} items, CRR {points:.1f} points higher: found {row['rejected']:.0%} of the time", flush=True
            )
    figures["seconds"] = round(time.perf_counter() - began, 1)
    print(f"\n{figures['seconds']:.0f} s; {'OUTSIDE of what is claimed' if bad else 'all within what is claimed'}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    sys.exit(bad)


if __name__ == "__main__":
    main()
