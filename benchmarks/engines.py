"""Measures what engines do for throughput: the same run by the local engine, and by Ray with 1, 2 and 4 workers.

    python -m benchmarks.engines [--examples 1500] [--workers 1 2 4] [--in-flight 256 [--each]]
                                 [--latency 0.05]

Each is a `codeclm run` from nothing against the fixed-latency server, and a Ray cluster of its own on this machine.
What counts is the middle of a run, from a quarter of its calls to nine tenths: calls/s by the server's count, and CPU
ms per call (user and system time) of the run's process, of the workers, and of Ray's own processes beside them. Nothing
is kept to a core, and the server takes part of the machine too: `cores busy` is all of these with the server.

With --each every worker may have so many calls in flight at each model, rather than all together: what more workers
give while no core is full. Ends with 1 where the examples of two engines are not the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from benchmarks.figures import Figure, Missed, Unavailable, figure
from benchmarks.machine import machine
from benchmarks.overhead import CODECLM, SEEDS, running_server

EVERY_S = 0.2  # between two looks at the processes
FIRST, LAST = 0.25, 0.9  # of a run's calls: where its middle begins and ends
ROLES = ("run", "workers", "ray", "server")


@dataclass(frozen=True)
class Look:
    """What was seen at one moment: calls at the server, and CPU seconds so far by role."""

    at: float
    calls: int
    cpu_s: dict[str, float]


@dataclass(frozen=True)
class Middle:
    """The middle of a run: per second, and per call by role."""

    calls: int
    calls_per_s: float
    cpu_ms: dict[str, float]
    cores_busy: float


def middle(looks: list[Look]) -> Middle:
    """The middle of what was looked at. ValueError where there are too few looks to have one."""
    total = looks[-1].calls if looks else 0
    inner = [look for look in looks if FIRST * total <= look.calls <= LAST * total]
    if len(inner) < 2 or inner[-1].calls == inner[0].calls:
        raise ValueError(f"{total} calls were over before they could be measured: make more examples")
    begin, end = inner[0], inner[-1]
    calls, seconds = end.calls - begin.calls, end.at - begin.at
    used = {role: end.cpu_s.get(role, 0.0) - begin.cpu_s.get(role, 0.0) for role in ROLES}
    per_call = {role: 1000 * spent / calls for role, spent in used.items()}
    return Middle(total, calls / seconds, per_call, sum(used.values()) / seconds)


def write_config(path: Path, base_url: str, engine: dict[str, Any], *, examples: int, in_flight: int) -> Path:
    """The config of one run, by this engine."""
    endpoint = {"model": "simulated", "base_url": base_url, "max_in_flight": in_flight, "reply_form": "json"}
    values = {
        "seeds": str(SEEDS),
        "size": examples,
        "run_dir": path.stem,
        "models": {name: endpoint | {"extra_body": {"user": name}} for name in ("strong", "target")},
    }
    path.write_text(yaml.safe_dump(values | ({"engine": engine} if engine else {})))
    return path


def run(config: Path, base_url: str) -> list[Look]:
    """Make the run, and look at it all the while. RuntimeError where it fails."""
    urllib.request.urlopen(urllib.request.Request(base_url.replace("/v1", "/reset"), method="POST")).close()
    looks: list[Look] = []
    spent: dict[int, tuple[str, float]] = {}  # by process, so that what one that ended took stays counted
    with (config.parent / "said").open("w+b") as said:
        process = subprocess.Popen(
            [*CODECLM, "run", str(config)],
            stdout=said,
            stderr=said,
            env=os.environ | {"RAY_TMPDIR": str(config.parent)},
        )
        while process.poll() is None:
            spent |= _spent(process.pid)
            cpu = {role: sum(seconds for of, seconds in spent.values() if of == role) for role in ROLES}
            looks.append(Look(time.monotonic(), _calls(base_url), cpu))
            time.sleep(EVERY_S)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"codeclm run ended with {process.returncode}: {said.read()[-1000:].decode()}")
    return looks


def _calls(base_url: str) -> int:
    with urllib.request.urlopen(base_url.replace("/v1", "/stats")) as response:
        return int(json.load(response)["calls"])


def _spent(pid: int) -> dict[int, tuple[str, float]]:
    """The role and the CPU seconds of the run's process, of all below it, and of the server beside it."""
    tick = os.sysconf("SC_CLK_TCK")
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            after_name = (Path(entry.path) / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents[int(entry.name)] = int(after_name[1])
        seconds[int(entry.name)] = (int(after_name[11]) + int(after_name[12])) / tick
    return {one: (role, seconds[one]) for one in parents if (role := _role(one, pid, parents))}


def _role(one: int, run: int, parents: dict[int, int]) -> str | None:
    if one == run:
        return "run"
    above = parents.get(one)
    if above == os.getpid():
        return "server"
    while above and above != run:
        above = parents.get(above)
    if not above:
        return None
    try:
        title = Path(f"/proc/{one}/cmdline").read_bytes()
    except OSError:
        return None
    return "workers" if title.startswith(b"ray::") else "ray"


def engines(workers: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    """The engine sections of a config, by name. Unavailable where Ray, or the section, is not there."""
    if find_spec("ray") is None:
        raise Unavailable("Ray is not installed: pip install 'codeclm[ray]'")
    found: dict[str, dict[str, Any]] = {"local": {}}
    # Ray counts CPUs without looking: a worker that asks for none starts on a machine of any size.
    found |= {f"ray, {count}": {"name": "ray", "workers": count, "cpus_per_worker": 0} for count in workers}
    return found


def check(config: Path) -> None:
    """Unavailable where codeclm has no such engine."""
    from codeclm.config_files import load
    from codeclm.errors import ConfigError

    try:
        load(config)
    except ConfigError as error:
        raise Unavailable(f"this codeclm has no Ray engine: {' '.join(str(error).split())}") from None


def measure(
    examples: int, workers: tuple[int, ...], *, in_flight: int, latency: float, each: bool = False
) -> dict[str, Middle]:
    """One run by each engine, with so many calls in flight in all, or at ``each`` worker.

    Missed where two do not write the same examples.
    """
    found: dict[str, Middle] = {}
    written: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="engines-") as folder, running_server(latency, None) as base_url:
        configs = {
            name: write_config(
                Path(folder) / f"{place}.yaml",
                base_url,
                engine,
                examples=examples,
                in_flight=in_flight * (engine.get("workers", 1) if each else 1),
            )
            for place, (name, engine) in enumerate(engines(workers).items())
        }
        for config in configs.values():
            check(config)
        for name, config in configs.items():
            found[name] = middle(run(config, base_url))
            written[name] = config.with_suffix("").joinpath("examples.jsonl").read_bytes()
    if other := [name for name, data in written.items() if data != written["local"]]:
        raise Missed(f"examples.jsonl of {', '.join(other)} differs from the local engine's")
    return found


def figures(*, quick: bool) -> list[Figure]:
    """This benchmark's part of the suite (figures.py)."""
    if quick:
        found = measure(200, (2,), in_flight=64, latency=0.05)
    else:
        found = measure(1500, (1, 2, 4), in_flight=256, latency=0.05)
    made = []
    for name, row in found.items():
        made.append(figure(f"{name}: throughput", "calls/s", row.calls_per_s, better="higher"))
        made.append(figure(f"{name}: CPU of the run", "ms/call", row.cpu_ms["run"]))
        if name != "local":
            made.append(figure(f"{name}: CPU of workers", "ms/call", row.cpu_ms["workers"]))
    return made


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="The local engine beside Ray's.")
    parser.add_argument("--examples", type=int, default=1500)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--each", action="store_true", help="--in-flight is for each worker, not for all together")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    args = parser.parse_args()
    print(machine())
    try:
        found = measure(
            args.examples, tuple(args.workers), in_flight=args.in_flight, latency=args.latency, each=args.each
        )
    except (Missed, Unavailable) as reason:
        sys.exit(str(reason))
    print(f"{'engine':<10}{'calls':>8}{'calls/s':>9}{'run':>8}{'workers':>9}{'ray':>7}{'server':>8}{'cores busy':>12}")
    for name, row in found.items():
        cpu = row.cpu_ms
        print(
            f"{name:<10}{row.calls:>8,}{row.calls_per_s:>9,.0f}{cpu['run']:>8.2f}{cpu['workers']:>9.2f}{cpu['ray']:>7.2f}"
            f"{cpu['server']:>8.2f}{row.cores_busy:>12.2f}"
        )


if __name__ == "__main__":
    main()
