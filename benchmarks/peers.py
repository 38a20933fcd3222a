"""Measures peer tools: N chat calls each, against the fixed-latency server of fixed_server.py on this machine.

    python -m benchmarks.peers --calls 2000 --latency 0.05 --in-flight 64 256 [--only curator distilabel] [--json OUT]

Each peer has its own environment under `build/peers`, made on first use with pip (the only step that needs a network)
and used again. Every run is a fresh process with a fresh home, so nothing is replayed from a cache; it is kept to one
core, the server to another where there are two. A machine is rarely idle, so the figures are medians of the quieter
half of the repeats: the runs in which other processes used least of those two cores. Per peer and calls in flight:

- start s: a run with one call, less that call's latency, after one such run that only warms the disk. Taken off all
  that follows, its CPU time too.
- wall s, wall/ideal (ideal = calls * latency / in flight), calls/s: a run with N calls, start-up off, though never
  below the span at the server.
- CPU ms/call: user and system time of the whole process tree.
- peak MB: the largest single process of the tree.
- at server: what the server counted in the median run: calls, the most in flight, and the seconds from the first call
  to the last answer. A count other than N in any run marks the row with `!` and ends the command with 1.
- others %: how much of the two cores other processes used, at worst, in the runs that count: above 5 or so, run again.

`measure_workers` does the same for any worker script, so that another tool can be put into the same table. A worker is
called with BASE_URL CALLS IN_FLIGHT and ends with 0 once it has that many answers.
"""

import argparse
import http.client
import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Unavailable, figure
from benchmarks.machine import machine
from benchmarks.peer_environments import CACHE, PEERS, Worker, is_built, make_environment

HERE = Path(__file__).resolve().parent
RUN_LIMIT_S = 600.0


@dataclass(frozen=True)
class Run:
    """One run of a worker: its own cost, the share of the cores others used, and what the server saw of it."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    others: float
    calls: int
    peak_in_flight: int
    span_s: float


class Server:
    """The fixed-latency server in a process of its own."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def request(self, method: str, path: str) -> dict[str, Any]:
        """One request outside the measurement."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()


@contextmanager
def running_server(latency: float, cpu: int | None) -> Iterator[Server]:
    """Start the server, and end it when done."""
    command = [sys.executable, str(HERE / "fixed_server.py"), "--port", "0", "--latency", str(latency)]
    if cpu is not None:
        command += ["--cpu", str(cpu)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"127\.0\.0\.1:(\d+)/v1", process.stdout.readline())
            if not found:
                raise RuntimeError("the fixed server did not start")
            yield Server(process.pid, int(found[1]))
        finally:
            process.terminate()


def _environment(worker: Worker, home: str) -> dict[str, str]:
    """Nothing of the caller's environment but the path: no proxies, no keys, no caches, and no hub."""
    return {
        "PATH": f"{worker.python.parent}:{os.defpath}",
        "LANG": "C.UTF-8",
        "HOME": home,
        "TMPDIR": home,
        "XDG_CACHE_HOME": f"{home}/.cache",
        "HF_HOME": f"{home}/.cache/huggingface",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "OPENAI_API_KEY": "none",
        "PYTHONDONTWRITEBYTECODE": "1",
        **worker.env,
    }


def _busy_s(server: Server) -> float:
    """Seconds that the cores we may use were busy with anything but the server."""
    ours = {f"cpu{cpu}" for cpu in sorted(os.sched_getaffinity(0))[:2]}
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    busy = sum(sum(map(int, line[1:4] + line[6:9])) for line in lines if line[0] in ours)
    after_name = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (busy - int(after_name[11]) - int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def _wait(process: "subprocess.Popen[bytes]") -> resource.struct_rusage:
    """Wait for the process and say what it used; kill it with all its own if it runs too long or we are stopped."""
    limit = threading.Timer(RUN_LIMIT_S, os.killpg, (process.pid, signal.SIGKILL))
    limit.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        limit.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def run_once(worker: Worker, server: Server, calls: int, in_flight: int, cpu: int | None) -> Run:
    """One run of `worker` in a fresh process; RuntimeError with the end of its output if it failed.

    The kernel adds up the CPU time of the process and of all descendants that were waited for. The peak it gives is at
    least the peak of the process that calls this, so keep that one small.
    """
    command = [str(worker.python), str(worker.script), server.base_url, str(calls), str(in_flight)]
    server.request("POST", "/reset")
    with tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True) as home:
        log = Path(home) / "output.log"
        with log.open("wb") as output:
            begin, busy_before = time.perf_counter(), _busy_s(server)
            process = subprocess.Popen(
                command,
                cwd=home,
                env=_environment(worker, home),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            if cpu is not None:
                os.sched_setaffinity(process.pid, {cpu})
            usage = _wait(process)
            wall, busy_s = time.perf_counter() - begin, _busy_s(server) - busy_before
        if process.returncode != 0:
            tail = log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{worker.name} ended with {process.returncode}:\n{tail}")
    seen = server.request("GET", "/stats")
    cpu_s, peak_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    others = max(0.0, busy_s - cpu_s) / wall / min(2, len(os.sched_getaffinity(0)))
    return Run(wall, cpu_s, peak_mb, others, seen["calls"], seen["peak_in_flight"], seen["span_s"])


def _quieter_half(runs: list[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: run.others)[: (len(runs) + 1) // 2]


def _row(
    worker: Worker, all_starts: list[Run], all_runs: list[Run], calls: int, latency: float, level: int
) -> dict[str, Any]:
    starts, runs = _quieter_half(all_starts), _quieter_half(all_runs)
    start_s = statistics.median(run.wall_s for run in starts) - latency
    start_cpu_s = statistics.median(run.cpu_s for run in starts)
    walls = sorted(max(run.wall_s - start_s, run.span_s) for run in runs)
    wall_s, ideal_s = statistics.median(walls), calls * latency / level
    cpu_s = statistics.median(run.cpu_s for run in runs) - start_cpu_s
    middle = sorted(runs, key=lambda run: run.wall_s)[len(runs) // 2]
    return {
        "tool": worker.name,
        "in_flight": level,
        "calls": calls,
        "latency_s": latency,
        "start_s": start_s,
        "wall_s": wall_s,
        "wall_range_s": [walls[0], walls[-1]],
        "ideal_s": ideal_s,
        "wall_over_ideal": wall_s / ideal_s,
        "calls_per_s": calls / wall_s,
        "cpu_ms_per_call": 1000 * cpu_s / (calls - 1),
        "peak_mb": max(run.peak_mb for run in runs),
        "server_calls": middle.calls,
        "server_peak_in_flight": middle.peak_in_flight,
        "server_span_s": middle.span_s,
        "others_percent": 100 * max(run.others for run in [*starts, *runs]),
        "exact": all(run.calls == calls for run in all_runs) and all(run.calls == 1 for run in all_starts),
        "packages": dict(worker.packages),
        "runs": [asdict(run) for run in all_runs],
        "start_runs": [asdict(run) for run in all_starts],
    }


def measure_workers(
    workers: Sequence[Worker], *, calls: int, latency: float, in_flight: Sequence[int], repeats: int = 5
) -> list[dict[str, Any]]:
    """Measure the workers in turn, `repeats` times, so that a busy spell of the machine falls on all of them."""
    if calls < 100:
        raise ValueError("fewer than 100 calls cannot be told from the start-up")
    cores = sorted(os.sched_getaffinity(0))
    worker_cpu, server_cpu = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    starts: dict[str, list[Run]] = {worker.name: [] for worker in workers}
    runs: dict[tuple[str, int], list[Run]] = {(worker.name, level): [] for worker in workers for level in in_flight}
    with running_server(latency, server_cpu) as server:
        for worker in workers:
            run_once(worker, server, 1, in_flight[0], worker_cpu)
        for repeat in range(repeats):
            for worker in workers:
                print(f"{worker.name}: repeat {repeat + 1} of {repeats}", file=sys.stderr)
                starts[worker.name].append(run_once(worker, server, 1, in_flight[0], worker_cpu))
                for level in in_flight:
                    runs[worker.name, level].append(run_once(worker, server, calls, level, worker_cpu))
    return [
        _row(worker, starts[worker.name], runs[worker.name, level], calls, latency, level)
        for worker in workers
        for level in in_flight
    ]


def measure_peers(
    names: Sequence[str] = tuple(PEERS),
    *,
    calls: int = 2000,
    latency: float = 0.05,
    in_flight: Sequence[int] = (64, 256),
    repeats: int = 5,
    cache: Path = CACHE,
) -> list[dict[str, Any]]:
    """One row for each named peer and number in flight; builds their environments where they are missing."""
    workers = [make_environment(name, cache=cache) for name in names]
    return measure_workers(workers, calls=calls, latency=latency, in_flight=in_flight, repeats=repeats)


_COLUMNS = (
    ("in flight", "{in_flight}"),
    ("start s", "{start_s:.2f}"),
    ("wall s", "{wall_s:.2f}"),
    ("(range)", "({wall_range_s[0]:.2f}-{wall_range_s[1]:.2f})"),
    ("wall/ideal", "{wall_over_ideal:.2f}"),
    ("calls/s", "{calls_per_s:.0f}"),
    ("CPU ms/call", "{cpu_ms_per_call:.2f}"),
    ("peak MB", "{peak_mb:.0f}"),
    ("at server: calls", "{server_calls}"),
    ("most in flight", "{server_peak_in_flight}"),
    ("span s", "{server_span_s:.2f}"),
    ("others %", "{others_percent:.0f}"),
)


def table(rows: Sequence[Mapping[str, Any]], on: Mapping[str, Any]) -> str:
    """The rows as text, with the machine above and the packages below."""
    cells = [["tool", *(title for title, _ in _COLUMNS)]]
    for row in rows:
        mark = "" if row["exact"] else " !"
        cells.append([row["tool"] + mark, *(form.format_map(row) for _, form in _COLUMNS)])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    head = (
        f"{on['date']}, {on['cpu']}, {on['cores']} cores, {on['memory_gib']} GiB, load {on['load_average']} before, "
        f"Python {on['python']}"
    )
    if rows:
        first = rows[0]
        repeats = len(first["runs"])
        head += f"\n{first['calls']} calls at {1000 * first['latency_s']:g} ms, start-up taken off; medians of the "
        head += f"{(repeats + 1) // 2} quieter of {repeats} runs"
    packages = {
        row["tool"]: ", ".join(f"{name} {version}" for name, version in row["packages"].items()) for row in rows
    }
    return "\n".join([head, "", *lines, "", *(f"{tool}: {text}" for tool, text in packages.items() if text)])


def figures(*, quick: bool) -> list[Figure]:
    """This benchmark's part of the suite (figures.py), of the peers whose environments are built."""
    built = [name for name in PEERS if is_built(name)]
    if not built:
        raise Unavailable("no peer is installed: `python -m benchmarks.peers` makes their environments (network)")
    in_flight, repeats = ((64,), 1) if quick else ((64, 256), 5)
    made = []
    for row in measure_peers(built, calls=300 if quick else 2000, in_flight=in_flight, repeats=repeats):
        where = f"{row['tool']}, {row['in_flight']}"
        made += [
            figure(f"{where}: CPU", "ms/call", row["cpu_ms_per_call"]),
            figure(f"{where}: wall / ideal", "", row["wall_over_ideal"]),
            figure(f"{where}: peak memory", "MB", row["peak_mb"]),
        ]
    return made


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure peer tools against a server of fixed latency.")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the environments are kept")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    on = machine()
    rows = measure_peers(
        args.only,
        calls=args.calls,
        latency=args.latency,
        in_flight=args.in_flight,
        repeats=args.repeats,
        cache=args.cache,
    )
    print(table(rows, on))
    if args.json:
        args.json.write_text(json.dumps({"machine": on, "rows": rows}, indent=2) + "\n")
    if not all(row["exact"] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
