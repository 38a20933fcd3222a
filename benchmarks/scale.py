"""Measures how a run's cost grows with its size: time, memory and disk per example, stage by stage.

    python -m benchmarks.scale [--examples 10000,100000] [--method metadata-only] [--iterations 1] [--json OUT]

Models answer inside the process (instant_models.py), so the figures are codeclm's own cost. All else is real: seeds
from a file, the journal, selection, the search for near duplicates, output, Parquet, card, manifest. Each size is a run
from nothing in a process of its own. Others follow, each a process too: the report, exports, an audit, and the finished
run run again, which finds nothing to do. Seeds are a 50th of the size, the pool a 10th of it.

A stage's CPU is the user and system time of the process while it lasts; ms/ex and B/ex are by examples made. Disk of
`generate` is what the run directory grew by; its temporary files are gone by then. What a run says as it goes is kept
in FOLDER/progress.jsonl: compare its beginning with its end to see whether an example becomes dearer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks import instant_models
from benchmarks.figures import Figure, figure
from benchmarks.machine import machine
from codeclm.config_files import load
from codeclm.progress import Progress

METHOD, ITERATIONS = "metadata-only", 1
_EVERY = 0.02  # seconds between two looks at a run
_NOTED = 5.0  # seconds between two lines of progress.jsonl
_WITHIN = {  # what is timed within a stage: where it is looked up, and its name in the table
    "codeclm.generate.write_parquet": "write: parquet",
    "codeclm.generate.dataset_card": "write: card",
    "codeclm.generate.digests": "write: digests",
    "codeclm.selection.Selection.consider": "generate: select",
    "codeclm.output.Output.add": "generate: output rows",
    "codeclm.generate.build_manifest": "manifests",
}


def write_config(folder: Path, examples: int, *, method: str, iterations: int) -> Path:
    """The config of a run of so many examples, with seeds of made-up words beside it."""
    folder.mkdir(parents=True)
    with (folder / "seeds.jsonl").open("w") as file:
        for number in range(max(20, examples // 50)):
            file.write(json.dumps({"instruction": instant_models.seed_text(number)}) + "\n")
    endpoint = {"base_url": "http://127.0.0.1:9/v1", "max_in_flight": 256}
    values = {
        "seeds": "seeds.jsonl",
        "size": examples,
        "run_dir": "run",
        "models": {name: endpoint | {"model": name} for name in ("strong", "target")},
        "method": {"name": method, "iterations": iterations, "pool": max(100, examples // 10)},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


class Watch:
    """Looks at this process while a run works: CPU, memory and disk by the run's phase."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._progress: Progress | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.stages: dict[str, dict[str, float]] = {}
        self.within: dict[str, float] = {}

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def watch(self, progress: Progress) -> None:
        """The run's counters are there."""
        self._progress = progress

    def _look(self) -> None:
        noted = 0.0
        disk = 0
        cpu, wall = time.process_time(), time.perf_counter()
        with (self._folder / "progress.jsonl").open("a") as log:
            while not self._ended.wait(_EVERY):
                progress = self._progress
                phase = progress.phase if progress else "start"
                stage = self.stages.setdefault(phase, {"cpu_s": 0.0, "wall_s": 0.0, "peak_mb": 0.0, "disk": 0.0})
                now_cpu, now = time.process_time(), time.perf_counter()
                stage["cpu_s"] += now_cpu - cpu
                stage["wall_s"] += now - wall
                cpu, wall = now_cpu, now
                stage["peak_mb"] = max(stage["peak_mb"], _resident_mb())
                if now - noted > _NOTED:
                    grown = _disk(self._folder / "run")
                    stage["disk"] += grown - disk
                    noted, disk = now, grown
                    row = {"phase": phase, "cpu_s": cpu, "mb": _resident_mb(), "disk": grown, **self._counts()}
                    log.write(json.dumps(row | {"within": self.within}) + "\n")
                    log.flush()

    def _counts(self) -> dict[str, int]:
        progress = self._progress
        if progress is None:
            return {}
        return {
            "encoded": progress.encoded,
            "slots": progress.slots,
            "outcomes": progress.counts.total(),
            "kept": progress.kept,
            "calls": progress.calls.made,
            "replayed": progress.calls.replayed,
        }


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())


@contextmanager
def timed_within(within: dict[str, float]) -> Iterator[None]:
    """Add up the CPU seconds spent in the functions of ``_WITHIN`` meanwhile."""
    from importlib import import_module

    def timed(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            begun = time.thread_time()
            try:
                return function(*args, **named)
            finally:
                within[name] = within.get(name, 0.0) + time.thread_time() - begun

        return call

    put_back = []
    for path, name in _WITHIN.items():
        owner_path, _, attribute = path.rpartition(".")
        module, _, kind = owner_path.rpartition(".")
        owner = getattr(import_module(module), kind) if kind[0].isupper() else import_module(owner_path)
        original = getattr(owner, attribute)
        setattr(owner, attribute, timed(original, name))
        put_back.append((owner, attribute, original))
    try:
        yield
    finally:
        for owner, attribute, original in put_back:
            setattr(owner, attribute, original)


def run_here(config: Path) -> None:
    """Run ``config`` in this process with the instant models; print what was seen as one line of JSON."""
    from codeclm.clients import connect
    from codeclm.generate import generate

    setattr(connect, "HttpClient", instant_models.InstantClient)  # noqa: B010 - not a name the module exports
    begun = time.perf_counter()
    with Watch(config.parent) as watch, timed_within(watch.within):
        result = asyncio.run(generate(load(config), watch=watch.watch))
    manifest = result.manifest
    seen = {
        "seconds": time.perf_counter() - begun,
        "stages": watch.stages,
        "within": watch.within,
        "examples": manifest["examples"],
        "outcomes": manifest["counts"]["instructions"],
        "counts": manifest["counts"],
        "calls": sum(row["calls"] for row in manifest["calls"]),
        "files": {path.name: path.stat().st_size for path in sorted(result.run_dir.iterdir()) if path.is_file()},
    }
    print(json.dumps(seen))


def process(*command: str, **environment: str) -> tuple[dict[str, float], str]:
    """A command in a process of its own: what it took, and what it printed."""
    begun = time.perf_counter()
    given = os.environ | {"CODECLM_REPORT": "off"} | environment
    with tempfile.TemporaryFile("w+") as said:
        started = subprocess.Popen([sys.executable, *command], stdout=said, stderr=sys.stderr, env=given)
        _, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        printed = said.read()
    if started.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {started.returncode}: {printed[-2000:]}")
    took = {
        "wall_s": time.perf_counter() - begun,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
    }
    return took, printed


def measure(folder: Path, examples: int, *, method: str, iterations: int, audit: bool) -> dict[str, Any]:
    """One size: a run, and what is done with it afterwards."""
    config = write_config(folder, examples, method=method, iterations=iterations)
    run = folder / "run"
    took, printed = process("-m", "benchmarks.scale", "--one", str(config))
    seen: dict[str, Any] = json.loads(printed.splitlines()[-1])
    after: dict[str, dict[str, float]] = {}

    def then(name: str, *command: str, makes: Path | None = None) -> None:
        after[name], _ = process("-m", "codeclm", *command)
        if makes:
            after[name]["disk"] = makes.stat().st_size

    after["resume"], resumed = process("-m", "benchmarks.scale", "--one", str(config))
    again = json.loads(resumed.splitlines()[-1])
    assert again["calls"] == seen["calls"], "a finished run made calls"
    then("report", "report", str(run), makes=run / "report.html")
    for form, name in (("messages", "examples.messages.jsonl"), ("parquet", "again.parquet")):
        out = folder / name
        then(f"export {form}", "export", str(run), "--format", form, "--out", str(out), makes=out)
        out.unlink()
    if audit:
        then("audit", "audit", str(run))
    return seen | {"method": method, "iterations": iterations, "took": took, "after": after}


def table(seen: dict[str, Any]) -> str:
    """What was seen of one size, for people."""
    made = seen["examples"]
    lines = [
        f"{made:,} examples, {seen['outcomes']:,} outcomes, {seen['calls']:,} calls, {seen['method']}, "
        f"{seen['iterations']} iterations: {seen['took']['wall_s']:.0f} s, CPU {seen['took']['cpu_s']:.0f} s, "
        f"peak {seen['took']['peak_mb']:.0f} MB",
        f"{'stage':<24}{'CPU s':>9}{'wall s':>9}{'CPU ms/ex':>11}{'peak MB':>9}",
    ]
    within = {name: {"cpu_s": seconds} for name, seconds in seen["within"].items()}
    for name, row in {**seen["stages"], **within, **seen["after"]}.items():
        wall = f"{row['wall_s']:>9.1f}" if "wall_s" in row else " " * 9
        peak = f"{row['peak_mb']:>9.0f}" if "peak_mb" in row else ""
        lines.append(f"{name:<24}{row['cpu_s']:>9.1f}{wall}{1000 * row['cpu_s'] / made:>11.4f}{peak}")
    sizes = ", ".join(f"{name} {size / made:,.0f}" for name, size in seen["files"].items() if size > made)
    return "\n".join([*lines, f"bytes per example: {sizes}"])


def figures(*, quick: bool) -> list[Figure]:
    """This benchmark's part of the suite (figures.py). Growth is of the stage `generate`, without the start."""
    made, generating = [], []
    for size in (1_000, 4_000) if quick else (10_000, 100_000):
        with tempfile.TemporaryDirectory(prefix="scale-") as folder:
            seen = measure(Path(folder) / "run", size, method=METHOD, iterations=ITERATIONS, audit=not quick)
        generating.append(seen["stages"]["generate"]["cpu_s"] / seen["examples"])
        made += [
            figure(f"{size:,} examples: CPU", "ms/example", 1000 * seen["took"]["cpu_s"] / seen["examples"]),
            figure(f"{size:,} examples: disk", "B/example", sum(seen["files"].values()) / seen["examples"]),
            figure(f"{size:,} examples: peak memory", "MB", seen["took"]["peak_mb"]),
            figure(f"{size:,} examples: run again", "s", seen["after"]["resume"]["wall_s"]),
        ]
    return [*made, figure("CPU per example, large / small", "", generating[1] / generating[0])]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="How a run's cost grows with its size.")
    parser.add_argument("--examples", default="10000,100000")
    parser.add_argument("--method", default=METHOD)
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    parser.add_argument("--no-audit", action="store_true")
    parser.add_argument("--folder", type=Path, help="keep the runs here")
    parser.add_argument("--json", type=Path, help="append the figures here, a line for each size")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        run_here(args.one)
        return
    print(machine())
    with tempfile.TemporaryDirectory(prefix="scale-") as temporary:
        for size in map(int, args.examples.split(",")):
            folder = (args.folder or Path(temporary)) / f"{args.method}-{args.iterations}-{size}"
            seen = measure(folder, size, method=args.method, iterations=args.iterations, audit=not args.no_audit)
            print(table(seen), flush=True)
            if args.json:
                with args.json.open("a") as file:
                    file.write(json.dumps(seen | {"machine": machine()}) + "\n")


if __name__ == "__main__":
    main()
