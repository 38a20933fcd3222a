"""Measures the studio over a run of 100,000 outcomes: how long a page takes, and how much memory the server.

    python -m benchmarks.studio [--outcomes 100000] [--repeats 5] [--json OUT] [--keep FOLDER]

The run directory is made by benchmarks/studio_outcomes.py. The studio is the real command, a process of its own, asked
over HTTP as a browser does; each page is asked for as a whole. A page's time is that of its first answer (the studio
remembers lists), with the server's CPU time, which a busy machine changes less, and the slowest of the repeats. Memory
is the server's own, and with the process that builds the index. Exit status 1 where 100,000 outcomes took more than 1 s
for the first page, 0.5 s for a filter, or 500 MB.
"""

import argparse
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import simulated
from benchmarks.machine import machine
from benchmarks.studio_outcomes import write_run
from codeclm.studio.index_keeping import NAME

FIRST_PAGE_S, FILTER_S, MEGABYTES, AT = 1.0, 0.5, 500, 100_000
SAMPLE_S = 0.05

# Each is asked for twice and more; the first answer is what counts.
LISTS = {
    "status": "status=discarded",
    "use case": "use_case=code+review",
    "skill and iterations": "skill=python+programming&iteration=2",
    "cause of failure": "cause=filter:+timeout",
    "gap over 4": "min_gap=4",
    "sorted by gap": "sort=gap",
    "sorted by use case": "sort=use-case",
    "last page": "page=2000",
    "a word in few": "q=seaside",
    "a word in every outcome": "q=the",
    "a part of many words": "q=ing",
    "three words in most": "q=the+and+answer",
    "a phrase": "q=%22the+main+points+first%22",
    "a word, a filter, sorted": "q=spreadsheet&status=kept&sort=widest",
}


class Memory:
    """The most memory a process had, alone and together with its children, in MB."""

    def __init__(self, pid: int) -> None:
        self.alone = self.together = 0.0
        self.pid = pid
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """Stop to look."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            try:
                children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
                alone = _resident(self.pid)
                self.alone = max(self.alone, alone)
                self.together = max(self.together, alone + sum(map(_resident, map(int, children))))
            except OSError:
                continue


def _resident(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1e3 if found else 0.0


@contextmanager
def studio(folder: Path) -> Iterator[tuple[str, Memory]]:
    """The address of a `codeclm studio` process, and its memory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*simulated.CODECLM, "studio", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory = Memory(process.pid)
    try:
        base = f"http://127.0.0.1:{port}"
        _wait_for(base, process)
        yield base, memory
    finally:
        memory.stop()
        process.terminate()
        process.wait()


def _wait_for(base: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(base).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("codeclm studio does not answer")


def get(url: str) -> tuple[float, str]:
    """Seconds until the page is there in full, and its text."""
    began = time.perf_counter()
    with urllib.request.urlopen(url) as answer:
        text = answer.read().decode()
    return time.perf_counter() - began, text


def measured(url: str, pid: int, repeats: int) -> dict[str, float]:
    """The first answer, the server's CPU time for it, and the slowest of the others, in milliseconds."""
    before = _cpu_s(pid)
    first = get(url)[0] * 1e3
    cpu = (_cpu_s(pid) - before) * 1e3
    return {"first_ms": first, "cpu_ms": cpu, "again_ms": max(get(url)[0] * 1e3 for _ in range(repeats - 1))}


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, repeats: int) -> dict[str, Any]:
    """All pages: first without an index, then with it, by a studio that has just begun."""
    (folder / "run" / NAME).unlink(missing_ok=True)
    figures: dict[str, Any] = {}
    with studio(folder) as (base, memory):
        run = f"{base}/runs/run"
        seconds, text = get(f"{run}/outcomes")
        if "are being indexed" not in text:
            raise RuntimeError("there was an index before")
        figures["without_index_ms"] = seconds * 1e3
        began, slowest = time.perf_counter(), 0.0
        while "are indexed" not in get(f"{run}/indexing")[1]:
            slowest = max(slowest, get(f"{run}/outcomes")[0])
            time.sleep(0.2)
        figures |= {"index_s": time.perf_counter() - began, "while_building_ms": slowest * 1e3}
        figures |= {"index_mb": (folder / "run" / NAME).stat().st_size / 1e6, "peak_building_mb": memory.together}
    with studio(folder) as (base, memory):
        run = f"{base}/runs/run"
        pid = memory.pid
        figures["first_page"] = measured(f"{run}/outcomes", pid, repeats)
        figures["lists"] = {name: measured(f"{run}/outcomes?{query}", pid, repeats) for name, query in LISTS.items()}
        figures["threshold"] = measured(f"{run}/threshold?threshold=4.5", pid, repeats)
        figures["outcome"] = measured(f"{run}/outcomes/010000.3?status=kept&sort=gap", pid, repeats)
        figures["download_s"] = get(f"{run}/outcomes.jsonl?status=failed")[0]
        figures["peak_mb"] = memory.alone
    return figures


def show(figures: dict[str, Any]) -> None:
    """The figures as a table."""
    print(
        f"{figures['outcomes']:,} outcomes, {figures['bytes'] / 1e6:,.0f} MB: index {figures['index_mb']:,.0f} MB in "
        f"{figures['index_s']:.0f} s; memory {figures['peak_mb']:.0f} MB, with the indexing process "
        f"{figures['peak_building_mb']:.0f} MB"
    )
    print(
        f"first page without an index {figures['without_index_ms']:.0f} ms, while it is built at most "
        f"{figures['while_building_ms']:.0f} ms"
    )
    rows = {"first page": figures["first_page"], **figures["lists"]}
    for name, times in {**rows, "threshold": figures["threshold"], "one outcome": figures["outcome"]}.items():
        print(
            f"{name:28} {times['first_ms']:7.0f} ms (CPU {times['cpu_ms']:4.0f} ms), again {times['again_ms']:5.0f} ms"
        )


def missed(figures: dict[str, Any]) -> bool:
    """Whether a bar was missed."""
    filters = max(times["first_ms"] for times in figures["lists"].values())
    first = max(figures["first_page"]["first_ms"], figures["without_index_ms"])
    memory = max(figures["peak_mb"], figures["peak_building_mb"])
    return bool(first > FIRST_PAGE_S * 1e3 or filters > FILTER_S * 1e3 or memory > MEGABYTES)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What the studio takes over a large run.")
    parser.add_argument("--outcomes", type=int, default=AT)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--keep", type=Path, help="make the run directory here, or use the one that is here")
    args = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine(), "sqlite": sqlite3.sqlite_version, "outcomes": args.outcomes}
    print(figures["machine"], "SQLite", sqlite3.sqlite_version, flush=True)
    with tempfile.TemporaryDirectory(prefix="studio-") as temporary:
        folder = args.keep or Path(temporary)
        if not (folder / "run").exists():
            write_run(folder / "run", args.outcomes)
        names = ("examples.jsonl", "discarded.jsonl", "failures.jsonl")
        figures["bytes"] = sum((folder / "run" / name).stat().st_size for name in names)
        figures |= measure(folder, args.repeats)
    show(figures)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + os.linesep)
    sys.exit(args.outcomes <= AT and missed(figures))


if __name__ == "__main__":
    main()
