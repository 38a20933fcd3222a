"""Measures what a kill costs: how many calls a run makes again after SIGKILL half-way.

    python -m benchmarks.resume [--examples 65] [--at 1000] [--in-flight 64] [--repeats 5] [--json OUT]

`codeclm run` is killed when the simulator, a process of its own, has counted so many calls, then run again to its end.
Both models together have so many calls in flight. Printed are the calls in flight when it was killed, those made again
(all that the server counted, less those in the journal at the end) and those of them that the server had answered, and
whether the files are those of a run that was not killed. Ends with 1 where more than were in flight are made again.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import simulated
from benchmarks.chaos import FILES
from benchmarks.figures import Figure, Missed, figure
from benchmarks.machine import machine

LATENCY_S = 0.1
IN_FLIGHT = 64


def measure(folder: Path, unbroken: Path, *, examples: int, at: int, in_flight: int) -> dict[str, Any]:
    """One run that is killed and resumed; ``unbroken`` is the directory of one that was not."""
    with simulated.simulator(latency=LATENCY_S, latency_distribution="exponential") as base_url:
        config = simulated.write_config(folder, base_url, size=examples, max_in_flight=in_flight // 2)
        process = simulated.start(config)
        seen: dict[str, Any] = {"calls": 0}
        while process.poll() is None and seen["calls"] < at:
            seen = simulated.stats(base_url)
        process.send_signal(signal.SIGKILL)
        process.wait()
        began = time.perf_counter()
        run = simulated.finish(config)
        resumed = time.perf_counter()
        simulated.finish(config)
        again = time.perf_counter()
        after = simulated.stats(base_url)
    return {
        "killed_at": seen["calls"],
        "in_flight": seen["in_flight"],
        "calls": simulated.recorded(run),
        "made_again": after["calls"] - simulated.recorded(run),
        "paid_twice": after["repeated"],
        "resumed_s": resumed - began,
        "again_s": again - resumed,
        "examples": simulated.manifest(run)["examples"],
        "same": all((run / name).read_bytes() == (unbroken / name).read_bytes() for name in FILES),
    }


def kills(*, examples: int, at: int, in_flight: int, repeats: int) -> Iterator[dict[str, Any]]:
    """One run after the other that is killed and resumed, each held against the same unbroken one."""
    with tempfile.TemporaryDirectory(prefix="resume-") as folder:
        with simulated.simulator() as base_url:
            unbroken = simulated.finish(simulated.write_config(Path(folder) / "unbroken", base_url, size=examples))
        for number in range(repeats):
            killed = Path(folder) / str(number)
            yield measure(killed, unbroken, examples=examples, at=at, in_flight=in_flight)


def figures(*, quick: bool) -> list[Figure]:
    """This benchmark's part of the suite (figures.py)."""
    size = {"examples": 20, "at": 300, "repeats": 1} if quick else {"examples": 65, "at": 1000, "repeats": 5}
    rows = list(kills(in_flight=IN_FLIGHT, **size))
    if not all(row["same"] and row["made_again"] <= IN_FLIGHT for row in rows):
        raise Missed("a kill cost more than what was in flight: `python -m benchmarks.resume` shows what")
    return [
        figure("made again / in flight", "", [row["made_again"] / max(1, row["in_flight"]) for row in rows]),
        figure("answered calls made again", "calls", [row["paid_twice"] for row in rows]),
        figure("resumed to the end", "s", [row["resumed_s"] for row in rows]),
        figure("finished run, run again", "s", [row["again_s"] for row in rows]),
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What a kill half-way costs.")
    parser.add_argument("--examples", type=int, default=65)
    parser.add_argument("--at", type=int, default=1000, help="the call at which it is killed")
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    rows = []
    on = machine()
    print(on)
    for row in kills(examples=args.examples, at=args.at, in_flight=args.in_flight, repeats=args.repeats):
        rows.append(row)
        print(
            f"killed at {row['killed_at']} of {row['calls']} calls with {row['in_flight']} in flight: "
            f"{row['made_again']} made again, {row['paid_twice']} of them answered before; "
            f"{row['examples']} examples, the same bytes: {'yes' if row['same'] else 'NO'}",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps({"machine": on, "latency_s": LATENCY_S, "runs": rows}, indent=2) + "\n")
    sys.exit(not all(row["same"] and row["made_again"] <= args.in_flight for row in rows))


if __name__ == "__main__":
    main()
