"""Measures what faults of every kind do to a run: nothing is to be lost, and not a byte is to change.

    python -m benchmarks.chaos [--examples 500] [--seeds FILE] [--json OUT]

The same run is made twice against simulator processes: one without faults, and one that answers 10 % of its calls with
429 and `Retry-After: 1` and 5 % with 500, hangs on 1 %, tears the body of 1 %, cuts off the text of 2 % and drops the
connection of 1 %. Printed are the time and the calls of both, each fault by the server's count and by ours, and whether
the files are the same. Ends with 1 where an example is lost, a file differs or a count does.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import simulated
from benchmarks.figures import Figure, Missed, figure
from benchmarks.machine import machine

FAULTS = {
    "rate_429": 0.1, "rate_500": 0.05, "rate_hang": 0.01, "rate_malformed": 0.01, "rate_truncated": 0.02,
    "rate_drop": 0.01, "retry_after": 1,
}  # fmt: skip
CAUSES = {
    "429": "rate", "500": "server", "hang": "timeout", "malformed": "malformed", "truncated": "truncated",
    "drop": "connection",
}  # fmt: skip
FILES = ("examples.jsonl", "preferences.jsonl", "discarded.jsonl", "failures.jsonl", "metadata.jsonl")
TIMEOUT_S = 5.0


def measure(folder: Path, *, examples: int, seeds: Path, **options: Any) -> dict[str, Any]:
    """One run against a simulator with these options."""
    with simulated.simulator(**options) as base_url:
        config = simulated.write_config(folder, base_url, size=examples, seeds=seeds, timeout=TIMEOUT_S)
        began = time.perf_counter()
        run = simulated.finish(config)
        seconds = time.perf_counter() - began
        seen = simulated.stats(base_url)
    found = simulated.manifest(run)
    return {
        "seconds": seconds,
        "calls": seen["calls"],
        "recorded": simulated.recorded(run),
        "repeated": seen["repeated"],
        "examples": found["examples"],
        "failed": found["counts"]["failed"] + found["counts"]["failed_slots"] + found["counts"]["failed_seeds"],
        "faults": {CAUSES[name]: count for name, count in sorted(seen["by_fault"].items())},
        "counted": found["faults"],
    }


def both(folder: Path, *, examples: int, seeds: Path) -> dict[str, Any]:
    """The run without faults and the one with them, and for each of the files whether it is the same."""
    rows = {
        name: measure(folder / name, examples=examples, seeds=seeds, **options)
        for name, options in (("calm", {}), ("chaos", FAULTS))
    }
    calm, chaos = (folder / name / "run" for name in rows)
    return rows | {"same": {name: (calm / name).read_bytes() == (chaos / name).read_bytes() for name in FILES}}


def whole(found: dict[str, Any], examples: int) -> bool:
    """Whether nothing was lost, no byte changed and every fault was counted."""
    chaos = found["chaos"]
    kept = chaos["examples"] == examples and not chaos["failed"]
    return bool(kept and all(found["same"].values()) and chaos["faults"] == chaos["counted"])


def figures(*, quick: bool) -> list[Figure]:
    """This benchmark's part of the suite (figures.py)."""
    examples = 30 if quick else 500
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        found = both(Path(folder), examples=examples, seeds=simulated.SEEDS)
    if not whole(found, examples):
        raise Missed(f"faults changed the run: `python -m benchmarks.chaos --examples {examples}` shows how")
    calm, chaos = found["calm"], found["chaos"]
    return [
        figure("without faults", "s", calm["seconds"]),
        figure("with faults", "s", chaos["seconds"]),
        figure("calls: with faults / without", "", chaos["calls"] / calm["calls"]),
        figure("answered calls made again", "calls", chaos["repeated"]),
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="The same run with and without faults.")
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--seeds", type=Path, default=simulated.SEEDS)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    on = machine()
    print(on)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        found = both(Path(folder), examples=args.examples, seeds=args.seeds.resolve())
    for name in ("calm", "chaos"):
        row = found[name]
        print(
            f"{name:>5}: {row['seconds']:.0f} s, {row['examples']} examples, {row['failed']} failures, "
            f"{row['calls']} calls of which {row['recorded']} recorded and {row['repeated']} repeated"
        )
    for cause, count in found["chaos"]["faults"].items():
        print(f"{cause:>12}: {count:>5} by the server's count, {found['chaos']['counted'].get(cause, 0):>5} by ours")
    print("the same bytes: " + ", ".join(f"{name} {'yes' if same else 'NO'}" for name, same in found["same"].items()))
    if args.json:
        measured = {"machine": on, "faults": FAULTS, "timeout_s": TIMEOUT_S, **found}
        args.json.write_text(json.dumps(measured, indent=2) + "\n")
    sys.exit(not whole(found, args.examples))


if __name__ == "__main__":
    main()
