"""Measures what it costs a run to be looked at: one run at full speed, watched and not watched in turn.

    python -m benchmarks.live_view [--windows 12] [--seconds 5]

`codeclm run` works against a server of fixed latency on another core, with as many calls in flight as keep its own core
busy. The studio is kept to the run's core, the worst case, and is asked for the live view once a second during every
other window, as an open page does. Between windows of one run nothing but this differs, so the ratio of their calls per
second is the cost: the median over neighbouring windows, with its quartiles. The cost of what a run writes each second,
looked at or not, is measured by itself: the CPU time of one writing.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import yaml

from benchmarks.overhead import CODECLM, SEEDS, running_server
from codeclm.live_state import Rates, as_values
from codeclm.progress import Progress

IN_FLIGHT, LATENCY = 256, 0.05
WARM_UP = 8.0  # seconds until a run is in its stride
LOOK_EVERY = 1.0  # seconds: live.html's data-every


def calls_at(server: str) -> tuple[float, int]:
    """The time, and how many calls the server has had."""
    with urllib.request.urlopen(server.replace("/v1", "/stats")) as response:
        return time.perf_counter(), int(json.load(response)["calls"])


def window(server: str, seconds: float, live: str | None) -> float:
    """Calls per second over so long, while ``live`` is asked for each second or nothing is."""
    began, before = calls_at(server)
    look = began
    while time.perf_counter() - began < seconds:
        look += LOOK_EVERY
        if live:
            asked = urllib.request.Request(live, headers={"Studio-Partial": "true"})
            with urllib.request.urlopen(asked) as answer:
                assert answer.status == 200
                answer.read()
        time.sleep(max(0.0, look - time.perf_counter()))
    ended, after = calls_at(server)
    return (after - before) / (ended - began)


def cpu_seconds(pid: int) -> float:
    """The CPU time a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost_of_writing(times: int = 2000) -> float:
    """CPU seconds of one writing of a run's state."""
    progress, rates = Progress(1000), Rates()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "live.json"
        began = time.process_time()
        for _ in range(times):
            rates.sample(progress, time.monotonic())
            partial = path.with_suffix(".partial")
            partial.write_bytes(json.dumps(as_values(progress, rates)).encode())
            partial.replace(path)
        return (time.process_time() - began) / times


def measure(windows: int, seconds: float) -> None:
    """One run, and what is found printed."""
    cores = sorted(os.sched_getaffinity(0))
    with running_server(LATENCY, cores[-1]) as server, tempfile.TemporaryDirectory(prefix="live-view-") as folder:
        runs = Path(folder) / "runs"
        endpoint = {"model": "simulated", "base_url": server, "max_in_flight": IN_FLIGHT, "reply_form": "json"}
        models = {name: endpoint | {"extra_body": {"user": name}} for name in ("strong", "target")}
        values = {"seeds": str(SEEDS), "size": 10**6, "run_dir": str(runs / "run"), "models": models}
        config = Path(folder) / "config.yaml"
        config.write_text(yaml.safe_dump(values))
        runs.mkdir()
        run = subprocess.Popen([*CODECLM, "run", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        studio = subprocess.Popen([*CODECLM, "studio", str(runs), "--port", "0"], stdout=subprocess.PIPE, text=True)
        try:
            for process in (run, studio):
                os.sched_setaffinity(process.pid, {cores[0]})
            assert studio.stdout is not None
            live = f"{studio.stdout.readline().split()[-1]}runs/run/live"
            time.sleep(WARM_UP)
            window(server, 1.0, live)
            idle, watched, spent = [window(server, seconds, None)], [], 0.0
            for _ in range(windows):
                before = cpu_seconds(studio.pid)
                watched.append(window(server, seconds, live))
                spent += cpu_seconds(studio.pid) - before
                idle.append(window(server, seconds, None))
        finally:
            for process in (run, studio):
                process.kill()
                process.wait()
            assert studio.stdout is not None
            studio.stdout.close()
    ratios = [2 * one / (idle[at] + idle[at + 1]) for at, one in enumerate(watched)]
    lower, median, upper = statistics.quantiles(ratios, n=4)
    print(f"{platform.machine()}, {len(cores)} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}")
    print(f"calls/s not watched {statistics.median(idle):.0f}, watched {statistics.median(watched):.0f}")
    print(f"watched over not watched: {median:.3f} (quartiles {lower:.3f} to {upper:.3f}, {windows} windows)")
    print(f"the studio's CPU while watched: {100 * spent / (windows * seconds):.2f} % of a core")
    print(f"what a run writes each second: {1000 * cost_of_writing():.2f} ms of CPU")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What it costs a run to be looked at.")
    parser.add_argument("--windows", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    if sys.platform != "linux":
        raise SystemExit("live_view reads /proc: run it on Linux.")
    measure(options.windows, options.seconds)


if __name__ == "__main__":
    main()
