"""Measures what it costs a run to be looked at: one run at full speed, watched and not watched in turn.

    python -m benchmarks.live_view [--windows 12] [--seconds 5]

`codeclm run` works against a server of fixed latency on another core, with as many calls in flight as keep its own core
busy. The studio is kept to the run's core, the worst case, and is asked for the live view once a second during every
other window, as an open page does. Between windows of one run nothing but this differs. Two ratios of watched to not
watched, each the median over neighbouring windows with its quartiles:

- calls per second by the clock, which needs a machine that does nothing else;
- calls per second of CPU time, the run's and the studio's together: what a core can do, whoever else wants it.

What a run writes each second, looked at or not, is measured by itself: the CPU time of one writing.
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
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Window:
    """So many calls in so many seconds, by the clock and of CPU time: the run's, and the studio's."""

    calls: int
    seconds: float
    run_cpu: float
    studio_cpu: float

    @property
    def rate(self) -> float:
        """Calls per second by the clock."""
        return self.calls / self.seconds

    @property
    def cpu_rate(self) -> float:
        """Calls per second of CPU time."""
        return self.calls / (self.run_cpu + self.studio_cpu)


def window(server: str, seconds: float, live: str | None, pids: tuple[int, int]) -> Window:
    """So many seconds, while ``live`` is asked for each second or nothing is. ``pids``: the run's and the studio's."""
    cpu = [cpu_seconds(pid) for pid in pids]
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
    run_cpu, studio_cpu = (cpu_seconds(pid) - earlier for pid, earlier in zip(pids, cpu, strict=True))
    return Window(after - before, ended - began, run_cpu, studio_cpu)


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
            pids = run.pid, studio.pid
            window(server, 1.0, live, pids)
            idle, watched = [window(server, seconds, None, pids)], []
            for _ in range(windows):
                watched.append(window(server, seconds, live, pids))
                idle.append(window(server, seconds, None, pids))
        finally:
            for process in (run, studio):
                process.kill()
                process.wait()
            assert studio.stdout is not None
            studio.stdout.close()
    print(f"{platform.machine()}, {len(cores)} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}")
    busy = sum(one.run_cpu for one in idle) / sum(one.seconds for one in idle)
    print(f"the run had {100 * busy:.0f} % of its core; load {os.getloadavg()[0]:.1f}; {windows} windows watched")
    for name, rates in (
        ("by the clock", [[one.rate for one in some] for some in (idle, watched)]),
        ("of CPU time", [[one.cpu_rate for one in some] for some in (idle, watched)]),
    ):
        lower, median, upper = statistics.quantiles(ratios(*rates), n=4)
        print(
            f"calls per second {name}: {statistics.median(rates[0]):.0f} not watched, "
            f"{statistics.median(rates[1]):.0f} watched, ratio {median:.3f} (quartiles {lower:.3f} to {upper:.3f})"
        )
    spent = sum(one.studio_cpu for one in watched) / sum(one.seconds for one in watched)
    print(f"the studio's CPU while watched: {100 * spent:.2f} % of a core")
    print(f"what a run writes each second: {1000 * cost_of_writing():.2f} ms of CPU")


def ratios(idle: list[float], watched: list[float]) -> list[float]:
    """Each watched window against the mean of its two neighbours."""
    return [2 * one / (idle[at] + idle[at + 1]) for at, one in enumerate(watched)]


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
