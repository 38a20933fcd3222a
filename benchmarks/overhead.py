"""Measures what codeclm itself costs: the whole pipeline against a server of fixed latency on another core.

    python -m benchmarks.overhead [--examples 1000] [--repeats 3] [--memory] [--peers] [--json OUT]

`codeclm run` makes that many examples, in a process of its own kept to one core. Client, journal, scheduling, parsing,
selection and output are all in the figures. Per scenario, medians over the repeats:

- CPU ms/call: user and system time of the process, less those of a run that makes one example, by calls made.
- wall/ideal: seconds from the first call to the last answer at the server, by (calls * latency / in flight). The start
  (connecting, encoding) and the end, when too few instructions are left to fill all places, are in it.
- calls/s over the same seconds; peak MB of the process.

Also the wall time of `import codeclm` and of `codeclm --help`; with --memory the peak memory at 1,000 and at 20,000
examples; with --peers the peers of peers.py on the same number of calls in the same run.
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import peers
from benchmarks.figures import Figure, figure
from benchmarks.machine import machine

HERE = Path(__file__).resolve().parent
SEEDS = HERE.parent / "src" / "codeclm" / "bundled" / "seeds.jsonl"
CODECLM = [sys.executable, "-c", "from codeclm.cli.app import main; main()"]
# Calls in flight and latency in seconds.
SCENARIOS = ((64, 0.05), (256, 0.2), (256, 0.05))


@contextlib.contextmanager
def running_server(latency: float, cpu: int | None) -> Iterator[str]:
    """The base URL of the fixed-latency server with the simulated models' replies."""
    command = [sys.executable, str(HERE / "fixed_server.py"), "--port", "0", "--latency", str(latency)]
    command += ["--reply", "benchmarks.codec_reply:reply", *([] if cpu is None else ["--cpu", str(cpu)])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"127\.0\.0\.1:(\d+)/v1", process.stdout.readline())
            if not found:
                raise RuntimeError("the fixed server did not start")
            yield f"http://127.0.0.1:{found[1]}/v1"
        finally:
            process.terminate()


@dataclass(frozen=True)
class Run:
    """One run: its own cost, and what the server saw of it."""

    cpu_s: float
    peak_mb: float
    calls: int
    peak_in_flight: int
    span_s: float


def run(base_url: str, *, examples: int, in_flight: int, cpu: int | None) -> Run:
    """One `codeclm run` from nothing."""
    urllib.request.urlopen(urllib.request.Request(base_url.replace("/v1", "/reset"), method="POST")).close()
    endpoint = {"model": "simulated", "base_url": base_url, "max_in_flight": in_flight, "reply_form": "json"}
    models = {name: endpoint | {"extra_body": {"user": name}} for name in ("strong", "target")}
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        config = Path(folder) / "config.yaml"
        values = {"seeds": str(SEEDS), "size": examples, "run_dir": "run", "models": models}
        config.write_text(yaml.safe_dump(values))
        process = subprocess.Popen([*CODECLM, "run", str(config)], stdout=subprocess.DEVNULL)
        if cpu is not None:
            os.sched_setaffinity(process.pid, {cpu})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"codeclm run ended with {process.returncode}")
    with urllib.request.urlopen(base_url.replace("/v1", "/stats")) as response:
        seen = json.load(response)
    cpu_s, peak_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    return Run(cpu_s, peak_mb, seen["calls"], seen["peak_in_flight"], seen["span_s"])


def measure(in_flight: int, latency: float, *, examples: int, repeats: int) -> dict[str, Any]:
    """One scenario, medians over the repeats."""
    cores = sorted(os.sched_getaffinity(0))
    ours, servers = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    with running_server(latency, servers) as server:
        starts = [run(server, examples=1, in_flight=in_flight, cpu=ours) for _ in range(repeats)]
        runs = [run(server, examples=examples, in_flight=in_flight, cpu=ours) for _ in range(repeats)]
    start = sorted(starts, key=lambda one: one.cpu_s)[len(starts) // 2]
    each_cpu = [1000 * (one.cpu_s - start.cpu_s) / (one.calls - start.calls) for one in runs]
    each_wall = [one.span_s * in_flight / (one.calls * latency) for one in runs]
    return {
        "in_flight": in_flight,
        "latency_s": latency,
        "calls": runs[0].calls,
        "peak_in_flight": max(one.peak_in_flight for one in runs),
        "cpu_ms_per_call": statistics.median(each_cpu),
        "cpu_range": [min(each_cpu), max(each_cpu)],
        "wall_over_ideal": statistics.median(each_wall),
        "wall_range": [min(each_wall), max(each_wall)],
        "calls_per_s": statistics.median(one.calls / one.span_s for one in runs),
        "peak_mb": max(one.peak_mb for one in runs),
    }


def seconds(*command: str, times: int = 9) -> float:
    """The median wall time of a command as a whole process."""
    walls = []
    for _ in range(times + 1):
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - begin)
    return statistics.median(walls[1:])


def memory(sizes: tuple[int, int] = (1000, 20_000)) -> dict[int, float]:
    """Peak memory in MB by the number of examples made."""
    with running_server(0.0, None) as server:
        return {size: run(server, examples=size, in_flight=64, cpu=None).peak_mb for size in sizes}


def report(row: dict[str, Any]) -> str:
    """A scenario as one line."""
    return (
        f"{row['in_flight']:>4} in flight, {1000 * row['latency_s']:>3.0f} ms, {row['calls']:>6} calls: "
        f"CPU {row['cpu_ms_per_call']:.2f} ms/call ({row['cpu_range'][0]:.2f}-{row['cpu_range'][1]:.2f}), "
        f"wall/ideal {row['wall_over_ideal']:.2f} ({row['wall_range'][0]:.2f}-{row['wall_range'][1]:.2f}), "
        f"{row['calls_per_s']:.0f} calls/s, peak {row['peak_mb']:.0f} MB"
    )


def figures(*, quick: bool) -> list[Figure]:
    """This benchmark's part of the suite (figures.py)."""
    made = [figure("import codeclm", "s", seconds(sys.executable, "-c", "import codeclm", times=3 if quick else 9))]
    for in_flight, latency in SCENARIOS[:1] if quick else SCENARIOS:
        row = measure(in_flight, latency, examples=150 if quick else 1500, repeats=2 if quick else 3)
        where = f"{in_flight} at {1000 * latency:.0f} ms"
        made += [
            Figure(f"{where}: CPU", row["cpu_ms_per_call"], "ms/call", "lower", *row["cpu_range"]),
            Figure(f"{where}: wall / ideal", row["wall_over_ideal"], "", "lower", *row["wall_range"]),
            figure(f"{where}: peak memory", "MB", row["peak_mb"]),
        ]
    return made


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What codeclm's own pipeline costs per call.")
    parser.add_argument("--examples", type=int, default=1500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="also the peak memory at 1,000 and 20,000 examples")
    parser.add_argument("--peers", action="store_true", help="also Bespoke Curator and distilabel, as many calls")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine()}
    print(figures["machine"])
    figures["import_s"] = seconds(sys.executable, "-c", "import codeclm")
    figures["help_s"] = seconds(*CODECLM, "--help")
    print(f"import codeclm {figures['import_s']:.3f} s, codeclm --help {figures['help_s']:.3f} s (whole processes)")
    figures["pipeline"] = []
    for in_flight, latency in SCENARIOS:
        figures["pipeline"].append(measure(in_flight, latency, examples=args.examples, repeats=args.repeats))
        print(report(figures["pipeline"][-1]), flush=True)
    if args.memory:
        figures["memory_mb"] = memory()
        print(", ".join(f"peak {mb:.0f} MB for {size:,} examples" for size, mb in figures["memory_mb"].items()))
    if args.peers:
        small = [measure(level, 0.05, examples=75, repeats=args.repeats) for level in (64, 256)]
        print("\n".join(report(row) for row in small), flush=True)
        figures["small"] = small
        figures["peers"] = peers.measure_peers(calls=small[0]["calls"], repeats=args.repeats)
        print(peers.table(figures["peers"], figures["machine"]))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
