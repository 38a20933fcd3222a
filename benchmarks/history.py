"""What was measured before: a JSON object a line in benchmarks/history.jsonl, each appended by one run of the suite.

A record has ``date`` (UTC), ``commit`` (and ``dirty`` where src/ or benchmarks/ differ from it), ``machine``,
``versions``, ``load`` (the 1-minute average before and after), ``quick``, and ``benchmarks``: by name ``seconds`` with
``figures`` (figures.to_json), ``unavailable`` or ``failed``. A record of two revisions compared in one sitting has
``against`` (``commit``, ``rounds``) as well, and ``ratios`` (ratios.Ratio by figure) in place of figures.

Lines are only ever appended. A line that a kill tore is passed over when read, and the next record begins a new one.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.figures import to_json
from benchmarks.machine import machine
from benchmarks.ratios import Ratio
from benchmarks.suite import HERE, Measured

PATH = HERE / "history.jsonl"
_PACKAGES = ("codeclm", "aiohttp", "orjson", "pydantic", "pyarrow", "rensa", "ray", "uvloop")
_PLACE = ("cpu", "cores", "memory_gib")


def git(root: Path, *command: str) -> str:
    """What git says in a repository. RuntimeError with its own words where it refuses."""
    done = subprocess.run(["git", "-C", str(root), *command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"git {' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


def is_dirty(root: Path, *folders: str) -> bool:
    """Whether anything in these folders differs from the commit. The history itself does not count."""
    return bool(git(root, "status", "--porcelain", "--", *folders, ":(exclude)benchmarks/history.jsonl"))


def place() -> dict[str, Any]:
    """The machine, without what changes from minute to minute: figures compare where this is equal."""
    return {name: value for name, value in machine().items() if name in _PLACE}


def versions() -> dict[str, str]:
    """Python's version, and those of the packages that the figures hang on, as far as they are installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def load() -> float:
    """The machine's load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def begin(root: Path, *, quick: bool) -> dict[str, Any]:
    """A record without benchmarks, taken before the first begins."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": git(root, "rev-parse", "HEAD"),
        "dirty": is_dirty(root, "src", "benchmarks"),
        "machine": place(),
        "versions": versions(),
        "load": [load()],
        "quick": quick,
        "benchmarks": {},
    }


def kept(measured: Measured, ratios: dict[str, Ratio] | None = None) -> dict[str, Any]:
    """A benchmark as a record holds it."""
    row: dict[str, Any] = {"seconds": round(measured.seconds, 1)}
    if measured.unavailable:
        return row | {"unavailable": measured.unavailable}
    if measured.failed:
        return row | {"failed": measured.failed}
    if ratios is not None:
        return row | {"ratios": {name: asdict(one) for name, one in ratios.items()}}
    return row | {"figures": to_json(measured.figures)}


def append(path: Path, record: dict[str, Any]) -> None:
    """Add a record, on a line of its own whatever the last one is."""
    line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        file.write(line)


def read(path: Path) -> tuple[list[dict[str, Any]], list[int]]:
    """The records, oldest first, and the numbers of the lines that are none. A file that is not there has none."""
    records, torn = [], []
    if path.exists():
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if isinstance(record, dict) and isinstance(record.get("benchmarks"), dict):
                records.append(record)
            elif line.strip():
                torn.append(number)
    return records, torn
