"""Shows what a judge's order bias does to an evaluation, and what is left of it once the lean is taken off.

    python -m benchmarks.order_bias [--items 250] [--repeats 25] [--json OUT]

First `codeclm evaluate` on made items, against a simulator whose judge adds points to the answer shown first (below 0:
to the second): CRR by one order alone, by both orders and each rule, and by each rule without the lean. Then judges of
other kinds, that score made answers on the spot in whole numbers. They raise the one answer or lower the other, lean by
another size from item to item or by a size between two steps, leave most answers at 10, or give no more than 9 and 8
and let the place decide what is close. Ends with 1 where, with the simulator's judge, CRR without the lean is 2 points
or more from that without a bias.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks import simulated
from benchmarks.machine import machine
from codeclm.evaluating.verdicts import Compared, Rule, summary
from codeclm.simulator import writing
from codeclm.simulator.draws import Draws
from codeclm.simulator.lexicon import use_cases

BIASES = (0, 0.5, 1, 1.5, -1.5, 2, 3, -3)
MOST = 0.02
RULES: tuple[Rule, ...] = ("strict", "sum")


def instructions() -> Iterator[str]:
    """Instructions that the simulated models know how to answer, without end."""
    cases, number = list(use_cases().values()), 0
    while True:
        case = cases[number // 5 % len(cases)]
        texts = writing.basics(case.name, case.skills[:3], 5, Draws("items", number))
        yield from texts
        number += len(texts)


def evaluate(*arguments: str | Path) -> dict[str, Any]:
    """What the last line of `codeclm evaluate --json` says."""
    command = [*simulated.CODECLM, "evaluate", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"codeclm evaluate ended with {done.returncode}: {done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(folder: Path, bias: float, benchmark: Path) -> dict[str, Any]:
    """The shares of one simulated judge, and the lean that is found."""
    with simulated.simulator(order_bias=bias) as base_url:
        config = simulated.write_config(folder, base_url, size=1)
        [found] = evaluate(config, "--benchmark", benchmark)["evaluations"]
    rows = (folder / "run" / "evaluations" / benchmark.stem / "target-vs-strong" / "judgements.jsonl").read_text()
    alone = {}
    for first in ("target", "strong"):
        order = folder / f"{first}-first.jsonl"
        kept = [line for line in rows.splitlines() if json.loads(line)["answer1_id"] == first]
        order.write_text("\n".join(kept) + "\n")
        alone[first] = evaluate("--judgements", order, "--candidate", "target")["crr"]
    return {"bias": bias, "candidate_first": alone["target"], "reference_first": alone["strong"], **_shares(found)}


def _shares(found: dict[str, Any]) -> dict[str, Any]:
    """By a summary of the strict rule."""
    without = found["without_lean"] or {"crr": None, "other_rule": {"crr": None}, "at_highest": None}
    return {
        "lean": found["position"]["lean"],
        "strict": found["crr"],
        "sum": found["other_rule"]["crr"],
        "strict_without": without["crr"],
        "sum_without": without["other_rule"]["crr"],
        "at_highest": without["at_highest"],
    }


@dataclass(frozen=True)
class Judge:
    """A judge of another kind than the simulator's. ``worth`` is what answers are worth on average."""

    name: str
    points: float
    worth: float = 7.0
    lowers: bool = False
    varies: bool = False
    tips: bool = False

    def judged(self, rng: random.Random, count: int, points: float) -> list[Compared]:
        """Items scored in both orders by this judge, with so much of a lean."""
        items = []
        for number in range(count):
            hard = rng.gauss(0, 1.2)
            worths = (self.worth + hard - 0.6 + rng.gauss(0, 1), self.worth + hard)
            candidate_first = self._order(rng, worths, points)
            reference, candidate = self._order(rng, worths[::-1], points)
            items.append(Compared(str(number), candidate_first=candidate_first, reference_first=(candidate, reference)))
        return items

    def _order(self, rng: random.Random, worths: tuple[float, float], points: float) -> tuple[float, float]:
        """The scores of two answers shown in this order."""
        wavers = (rng.gauss(0, 0.5), rng.gauss(0, 0.5))
        lean = max(0.0, rng.gauss(points, points / 2)) if self.varies else points
        if self.tips:
            return (9.0, 8.0) if worths[0] + wavers[0] + lean >= worths[1] + wavers[1] else (8.0, 9.0)
        shifts = (0.0, -lean) if self.lowers else (lean, 0.0)
        first, second = (sum(each) for each in zip(worths, wavers, shifts, strict=True))
        return min(10.0, max(1.0, float(round(first)))), min(10.0, max(1.0, float(round(second))))


JUDGES = (
    Judge("raises the first by 1", 1),
    Judge("raises the first by 3", 3),
    Judge("lowers the second by 3", 3, lowers=True),
    Judge("raises by 3, answers near the top", 3, worth=8.5),
    Judge("lowers by 3, answers near the top", 3, worth=8.5, lowers=True),
    Judge("raises by 3, nearly all at 10", 3, worth=10),
    Judge("raises by 1.5, between two steps", 1.5),
    Judge("raises by 0.5, between two steps", 0.5),
    Judge("raises by 1, by 0.5 more or less", 1, varies=True),
    Judge("raises by 3, by 1.5 more or less", 3, varies=True),
    Judge("9 or 8, the place tips what is close", 1, tips=True),
)


def moved(judge: Judge, count: int, repeats: int) -> dict[str, Any]:
    """How far CRR is, on average, from what the same judge gives without a lean, as it is and without the lean."""
    pairs = [
        tuple(
            _shares(summary(judge.judged(random.Random(seed), count, points), "strict", candidate="c", reference="r"))
            for points in (0, judge.points)
        )
        for seed in range(repeats)
    ]
    taken_off = [(fair, leaning) for fair, leaning in pairs if leaning["strict_without"] is not None]
    return {
        "judge": judge.name,
        "taken_off": len(taken_off),
        "fair": fmean(fair["strict"] for fair, _ in pairs),
        "lean": fmean(leaning["lean"] for _, leaning in pairs),
        **{rule: fmean(leaning[rule] - fair[rule] for fair, leaning in pairs) for rule in RULES},
        **{
            f"{rule}_without": fmean(leaning[f"{rule}_without"] - fair[rule] for fair, leaning in taken_off)
            if taken_off
            else None
            for rule in RULES
        },
    }


def _points(share: float | None) -> str:
    return "    -" if share is None else f"{100 * share:+5.1f}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What order bias does, and what is left of it without the lean.")
    parser.add_argument("--items", type=int, default=250)
    parser.add_argument("--repeats", type=int, default=25, help="evaluations by each made judge")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine(), "items": args.items, "simulated": [], "made": []}
    print(figures["machine"])
    print("\npoints   lean   candidate first   reference first   strict    sum   without the lean: strict    sum")
    with tempfile.TemporaryDirectory(prefix="order-bias-") as folder:
        benchmark = Path(folder) / "made.jsonl"
        texts = instructions()
        rows = [json.dumps({"question_id": number, "text": next(texts)}) for number in range(1, args.items + 1)]
        benchmark.write_text("\n".join(rows) + "\n")
        for bias in BIASES:
            row = measured(Path(folder) / str(bias), bias, benchmark)
            figures["simulated"].append(row)
            print(
                f"{bias:>6}   {row['lean']:>4}   {row['candidate_first']:>15.1%}   {row['reference_first']:>15.1%}   "
                f"{row['strict']:>6.1%}  {row['sum']:.1%}   {row['strict_without']:>24.1%}  {row['sum_without']:.1%}",
                flush=True,
            )
    print("\nCRR less that of the same judge without a lean, in points: as it is, and without the lean")
    for judge in JUDGES:
        row = moved(judge, args.items, args.repeats)
        figures["made"].append(row)
        print(
            f"{judge.name:>36}: strict {_points(row['strict'])} {_points(row['strict_without'])}, "
            f"sum {_points(row['sum'])} {_points(row['sum_without'])}; found {row['lean']:.2f} points, "
            f"taken off {row['taken_off']} of {args.repeats} times (strict without a lean {row['fair']:.1%})",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    fair = figures["simulated"][0]
    far = [
        (row["bias"], rule)
        for row in figures["simulated"]
        for rule in RULES
        if abs(row[f"{rule}_without"] - fair[rule]) >= MOST
    ]
    print(f"\n{f'2 points or more away: {far}' if far else 'all less than 2 points away'}")
    sys.exit(bool(far))


if __name__ == "__main__":
    main()
