"""Measures what codeclm itself costs: the whole pipeline against a server of fixed latency on another core.

    python -m benchmarks.overhead [--examples 1500] [--repeats 3] [--beside SRC] [--memory] [--peers] [--json OUT]

`codeclm run` makes that many examples, in a process of its own kept to one core. Client, journal, scheduling, parsing,
selection and output are all in the figures. Per scenario, medians over the repeats:

- CPU ms/call: user and system time of the process, less those of a run that makes one example, by calls made.
- HTTP alone: the same of a bare client (http_alone.py) that sends as many requests of such a run, as many at once as
  the run had at most. It is the floor, and the ratio to it is what compares from one hour of a machine to another.
- wall/ideal: seconds from the first call to the last answer at the server, by (calls * latency / in flight). The start
  (connecting, encoding) and the end, when too few instructions are left to fill all places, are in it.
- calls/s over the same seconds; peak MB of the process.

Also the wall time of `import codeclm` and of `codeclm --help`; with --beside another version's source, run in turn with
this one; with --memory the peak memory at 1,000 and at 20,000 examples; with --peers the peers of peers.py on the same
number of calls in the same run.
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
SOURCE = HERE.parent / "src"
CODECLM = [sys.executable, "-c", "from codeclm.cli.app import main; main()"]
# Calls in flight and latency in seconds.
SCENARIOS = ((64, 0.0), (64, 0.05), (256, 0.2), (256, 0.05))


@contextlib.contextmanager
def running_server(latency: float, cpu: int | None, keep: Path | None = None) -> Iterator[str]:
    """The base URL of the fixed-latency server with the simulated models' replies; bodies go to ``keep``."""
    command = [sys.executable, str(HERE / "fixed_server.py"), "--port", "0", "--latency", str(latency)]
    command += ["--reply", "benchmarks.codec_reply:reply", *([] if cpu is None else ["--cpu", str(cpu)])]
    command += ["--keep", str(keep)] if keep else []
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


def timed(command: list[str], base_url: str, *, cpu: int | None, source: Path = SOURCE) -> Run:
    """A command in a process of its own, and what the server saw meanwhile. ``source`` is where codeclm is from."""
    urllib.request.urlopen(urllib.request.Request(base_url.replace("/v1", "/reset"), method="POST")).close()
    # The report at a run's end is made by another process, once, however many calls there were.
    env = os.environ | {"PYTHONPATH": str(source), "CODECLM_REPORT": "off"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env)
    if cpu is not None:
        os.sched_setaffinity(process.pid, {cpu})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[:3]} ended with {process.returncode}")
    with urllib.request.urlopen(base_url.replace("/v1", "/stats")) as response:
        seen = json.load(response)
    cpu_s, peak_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    return Run(cpu_s, peak_mb, seen["calls"], seen["peak_in_flight"], seen["span_s"])


def run(base_url: str, *, examples: int, in_flight: int, cpu: int | None, source: Path = SOURCE) -> Run:
    """One `codeclm run` from nothing."""
    endpoint = {"model": "simulated", "base_url": base_url, "max_in_flight": in_flight, "reply_form": "json"}
    models = {name: endpoint | {"extra_body": {"user": name}} for name in ("strong", "target")}
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        config = Path(folder) / "config.yaml"
        values = {"seeds": str(SEEDS), "size": examples, "run_dir": "run", "models": models}
        config.write_text(yaml.safe_dump(values))
        return timed([*CODECLM, "run", str(config)], base_url, cpu=cpu, source=source)


def cost(whole: Run, start: Run) -> float:
    """CPU ms per call of a run, less what the start costs."""
    return 1000 * (whole.cpu_s - start.cpu_s) / (whole.calls - start.calls)


@contextlib.contextmanager
def recorded_bodies(examples: int = 100) -> Iterator[Path]:
    """A file of the requests that a small run sends."""
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        bodies = Path(folder) / "bodies.jsonl"
        with running_server(0.0, None, keep=bodies) as server:
            run(server, examples=examples, in_flight=64, cpu=None)
        yield bodies


def measure(
    in_flight: int, latency: float, *, examples: int, repeats: int, beside: Path | None = None
) -> dict[str, Any]:
    """One scenario, medians over the repeats: a run, HTTP alone and the version ``beside`` (its src) in turn."""
    cores = sorted(os.sched_getaffinity(0))
    ours, servers = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    runs, each, alone, other = list[Run](), list[float](), list[float](), list[float]()
    with recorded_bodies() as bodies, running_server(latency, servers) as server:

        def pipeline(source: Path) -> tuple[Run, Run]:
            whole = run(server, examples=examples, in_flight=in_flight, cpu=ours, source=source)
            return whole, run(server, examples=1, in_flight=in_flight, cpu=ours, source=source)

        def http(calls: int, at_once: int) -> Run:
            command = [sys.executable, str(HERE / "http_alone.py"), server, str(calls), str(at_once), str(bodies)]
            return timed(command, server, cpu=ours)

        for _ in range(repeats):
            whole, start = pipeline(SOURCE)
            runs.append(whole)
            each.append(cost(whole, start))
            alone.append(cost(http(whole.calls, whole.peak_in_flight), http(1, 1)))
            if beside:
                other.append(cost(*pipeline(beside)))
    each_wall = [one.span_s * in_flight / (one.calls * latency) for one in runs] if latency else []
    row = {
        "in_flight": in_flight,
        "latency_s": latency,
        "calls": runs[0].calls,
        "peak_in_flight": max(one.peak_in_flight for one in runs),
        "cpu_ms_per_call": statistics.median(each),
        "cpu_range": [min(each), max(each)],
        "alone_ms_per_call": statistics.median(alone),
        "over_alone": [ours / floor for ours, floor in zip(each, alone, strict=True)],
        "wall_over_ideal": statistics.median(each_wall) if latency else None,
        "wall_range": [min(each_wall), max(each_wall)] if latency else None,
        "calls_per_s": statistics.median(one.calls / one.span_s for one in runs),
        "peak_mb": max(one.peak_mb for one in runs),
    }
    if beside:
        row["beside_ms_per_call"] = statistics.median(other)
        row["over_beside"] = [ours / theirs for ours, theirs in zip(each, other, strict=True)]
    return row


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
    wall = ""
    if row["latency_s"]:
        wall = f"wall/ideal {row['wall_over_ideal']:.2f} ({row['wall_range'][0]:.2f}-{row['wall_range'][1]:.2f}), "
    ratios = f"HTTP alone {row['alone_ms_per_call']:.2f}: {_ratio(row['over_alone'])} of it"
    if "over_beside" in row:
        ratios += f", the version beside {row['beside_ms_per_call']:.2f}: {_ratio(row['over_beside'])} of it"
    return (
        f"{row['in_flight']:>4} in flight, {1000 * row['latency_s']:>3.0f} ms, {row['calls']:>6} calls: "
        f"CPU {row['cpu_ms_per_call']:.2f} ms/call ({row['cpu_range'][0]:.2f}-{row['cpu_range'][1]:.2f}), {ratios}, "
        f"{wall}{row['calls_per_s']:.0f} calls/s, peak {row['peak_mb']:.0f} MB"
    )


def _ratio(repeats: list[float]) -> str:
    return f"{statistics.median(repeats):.2f} ({min(repeats):.2f}-{max(repeats):.2f})"


def figures(*, quick: bool) -> list[Figure]:
    """This benchmark's part of the suite (figures.py)."""
    made = [figure("import codeclm", "s", seconds(sys.executable, "-c", "import codeclm", times=3 if quick else 9))]
    for in_flight, latency in SCENARIOS[:1] if quick else SCENARIOS:
        row = measure(in_flight, latency, examples=150 if quick else 1500, repeats=2 if quick else 3)
        where = f"{in_flight} at {1000 * latency:.0f} ms"
        made += [
            Figure(f"{where}: CPU", row["cpu_ms_per_call"], "ms/call", "lower", *row["cpu_range"]),
            figure(f"{where}: HTTP alone", "ms/call", row["alone_ms_per_call"]),
            figure(f"{where}: CPU / HTTP alone", "", row["over_alone"]),
            figure(f"{where}: peak memory", "MB", row["peak_mb"]),
        ]
        if latency:
            made.append(Figure(f"{where}: wall / ideal", row["wall_over_ideal"], "", "lower", *row["wall_range"]))
    return made


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What codeclm's own pipeline costs per call.")
    parser.add_argument("--examples", type=int, default=1500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="also the peak memory at 1,000 and 20,000 examples")
    parser.add_argument("--peers", action="store_true", help="also Bespoke Curator and distilabel, as many calls")
    parser.add_argument("--beside", type=Path, metavar="SRC", help="the src folder of another version, run in turn")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine()}
    print(figures["machine"])
    figures["import_s"] = seconds(sys.executable, "-c", "import codeclm")
    figures["help_s"] = seconds(*CODECLM, "--help")
    print(f"import codeclm {figures['import_s']:.3f} s, codeclm --help {figures['help_s']:.3f} s (whole processes)")
    figures["pipeline"] = []
    for in_flight, latency in SCENARIOS:
        row = measure(in_flight, latency, examples=args.examples, repeats=args.repeats, beside=args.beside)
        figures["pipeline"].append(row)
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
