"""What a report takes: seconds, CPU and memory of ``codeclm report``, by the number of outcomes.

A real run on the simulated models is made once; larger ones repeat its rows under ids of their own. Each report is
written by a process of its own, as at the end of a run.

    python -m benchmarks.report --outcomes 200 20000 100000
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path

_RUN = 100  # examples of the run that is repeated


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outcomes", type=int, nargs="+", default=[200, 20_000, 100_000])
    given = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("altair", "vl-convert-python", "orjson"))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{packages}; load {os.getloadavg()[0]:.1f}")
    print("| outcomes | files MB | wall s | CPU s | peak MB | page kB |\n| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as top:
        run = Path(top) / "run"
        command = [sys.executable, "-m", "codeclm", "demo", "--run-dir", str(run), "--size", str(_RUN)]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"CODECLM_REPORT": "off"})
        for count in given.outcomes:
            print(_measured(_repeated(run, Path(top) / str(count), count), count), flush=True)


def _repeated(run: Path, folder: Path, count: int) -> Path:
    """The run with so many outcomes: its rows again and again."""
    folder.mkdir()
    for name in ("manifest.json", "metadata.jsonl"):
        shutil.copy(run / name, folder / name)
    rows = {name: _rows(run / f"{name}.jsonl") for name in ("examples", "discarded")}
    share = len(rows["examples"]) / sum(map(len, rows.values()))
    counts = {"examples": round(count * share), "discarded": count - round(count * share)}
    for name, wanted in counts.items():
        with (folder / f"{name}.jsonl").open("w") as file:
            for number, row in enumerate(islice(cycle(rows[name]), wanted)):
                file.write(json.dumps(row | {"id": f"{name}-{number:07d}"}) + "\n")
    return folder


def _rows(path: Path) -> list[dict[str, object]]:
    return list(_lines(path))


def _lines(path: Path) -> Iterator[dict[str, object]]:
    with path.open() as file:
        for line in file:
            yield json.loads(line)


def _measured(folder: Path, count: int) -> str:
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = ["/usr/bin/env", "time", "-f", "%M", sys.executable, "-m", "codeclm", "report", str(folder)]
    timed = shutil.which("time") is not None
    done = subprocess.run(command if timed else command[4:], check=True, capture_output=True, text=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = int(done.stderr.split()[-1]) if timed else after.ru_maxrss  # of this one, or of the largest so far
    page = (folder / "report.html").stat().st_size / 1e3
    return f"| {count:,} | {size:,.0f} | {wall:.1f} | {cpu:.1f} | {peak / 1024:.0f} | {page:.0f} |"


if __name__ == "__main__":
    main()
