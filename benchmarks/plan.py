"""Holds plans against runs: what `codeclm plan --probe` says, and what the run then takes.

    python -m benchmarks.plan [--examples 500] [--probe 5] [--seeds 1] [--json OUT]

Three configs on simulated models behind a server of their own: the defaults; a low threshold and two iterations; and a
small pool on a target that is weak in other things than the simulated one of the rehearsal, so that the rehearsal alone
would be wrong. With --seeds N each is planned and run with N random seeds, which draw other rows for the probe. Exit
status 1 where a run is outside the range, or the point more than a quarter off (calls, tokens, dollars).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks import simulated
from benchmarks.machine import machine

WEAK = "[arithmetic reasoning, python programming, geography facts, budget control]"
CONFIGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "defaults": ({}, {}),
    "low threshold": ({"threshold": 1.5, "iterations": 2}, {}),
    "other target": ({"pool": 60, "instructions_per_entry": 3}, {"weak_skills": WEAK}),
}
PRICES = {"strong": {"input": 2, "output": 8}, "target": {"input": 0.1, "output": 0.3}}
LATENCY = 0.02
OFF = 0.25


def planned_and_run(folder: Path, base_url: str, method: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """A plan's total and what its run took, by the journal's count."""
    models = {name: {"model": name, "base_url": base_url, "price": price} for name, price in PRICES.items()}
    values = {"seeds": str(simulated.SEEDS), "size": args.examples, "run_dir": "run", "models": models}
    folder.mkdir(parents=True)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(values | {"method": method, "seed": args.seed}))
    command = [*simulated.CODECLM, "plan", str(config), "--probe", str(args.probe), "--json"]
    began = time.perf_counter()
    plan = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    planning = time.perf_counter() - began
    began = time.perf_counter()
    run = simulated.finish(config)
    seconds = time.perf_counter() - began
    found = simulated.manifest(run)
    calls = [row for row in found["calls"] if row["stage"] != "handshake"]
    actual = {
        "calls": sum(row["calls"] for row in calls),
        "tokens": sum(row["prompt_tokens"] + row["completion_tokens"] for row in calls),
        "usd": found["usd"],
        "seconds": seconds,
    }
    return {"planned": plan["total"] | {"seconds": plan["seconds"]}, "actual": actual, "planning_s": planning}


def told(name: str, seed: int, row: dict[str, Any]) -> bool:
    """Print one plan against its run; whether it came true."""
    good = True
    for what, actual in row["actual"].items():
        low, point, high = (row["planned"][what][bound] for bound in ("low", "point", "high"))
        inside, ratio = low <= actual <= high, point / actual
        near = what == "seconds" or abs(ratio - 1) <= OFF
        good = good and inside and near
        figures = " | ".join(
            f"{value:,.2f}" if what in ("usd", "seconds") else f"{value:,}" for value in (low, point, high, actual)
        )
        print(f"| {name} | {seed} | {what} | {figures} | {ratio:.2f} | {'yes' if inside else 'NO'} |", flush=True)
    return good


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Plans held against their runs.")
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--probe", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="how many random seeds, from 0 on")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine(), "examples": args.examples, "probe": args.probe, "rows": []}
    print(figures["machine"])
    print("| config | seed | what | low | point | high | actual | point / actual | inside |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    good = True
    with tempfile.TemporaryDirectory(prefix="plan-") as folder:
        for name, (method, options) in CONFIGS.items():
            for seed in range(args.seeds):
                args.seed = seed
                with simulated.simulator(latency=LATENCY, **options) as base_url:
                    row = planned_and_run(Path(folder) / name / str(seed), base_url, method, args)
                figures["rows"].append({"config": name, "seed": seed} | row)
                good = told(name, seed, row) and good
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    sys.exit(not good)


if __name__ == "__main__":
    main()
