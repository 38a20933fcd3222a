"""Which benchmarks there are, and running one: each in a process of its own, over a source tree that is named.

A module of this folder with a function ``figures`` (see figures.py) is of the suite. One that can only be run by itself
is a script. Both are told by their text, so that listing them imports nothing.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, from_json

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LIMIT_S = {True: 300.0, False: 7200.0}  # by whether it is quick
_PATIENCE_S = 20.0  # for servers and folders to be cleared away


@dataclass(frozen=True)
class Measured:
    """What came of one benchmark: its figures, or why there are none."""

    name: str
    seconds: float
    figures: tuple[Figure, ...] = ()
    unavailable: str | None = None
    failed: str | None = None


def listed(folder: Path = HERE) -> tuple[dict[str, str], dict[str, str]]:
    """The benchmarks of the suite and the scripts, each by its name with the first sentence of its docstring."""
    suite, scripts = {}, {}
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_bytes())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        said = (ast.get_docstring(tree) or "").partition("\n\n")[0]
        about = " ".join(said.split())
        if "figures" in functions:
            suite[path.stem] = about
        elif "main" in functions and not path.stem.startswith("_") and path.stem != "one":
            scripts[path.stem] = about
    return suite, scripts


def environment(source: Path) -> dict[str, str]:
    """What a benchmark runs in: codeclm from this folder, compiled as an installed one is, without reports.

    The report is written by a process beside the run; benchmarks/report.py measures it.
    """
    given = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return given | {"PYTHONPATH": str(source), "CODECLM_REPORT": "off"}


def measure(name: str, *, quick: bool, source: Path = ROOT / "src", root: Path = ROOT) -> Measured:
    """Run one benchmark of ``root`` on the codeclm in ``source``. What goes wrong in it is told in what is returned."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        out = Path(folder) / "out.json"
        command = [sys.executable, "-m", "benchmarks.one", name, str(out), *(["--quick"] if quick else [])]
        began = time.perf_counter()
        status, said = _run(command, root, environment(source), LIMIT_S[quick])
        seconds = time.perf_counter() - began
        if status is None:
            return Measured(name, seconds, failed=f"ended after {LIMIT_S[quick]:.0f} s, which is its limit")
        if not out.exists():
            return Measured(name, seconds, failed=f"ended with {status}: {said[-300:].strip()}")
        seen = json.loads(out.read_bytes())
    if seen.get("failed"):
        print(said, file=sys.stderr)
    measured_folder = seen.pop("codeclm")
    if measured_folder != str((source / "codeclm").resolve()):
        return Measured(name, seconds, failed=f"measured {measured_folder} instead of {source / 'codeclm'}")
    figures = tuple(from_json(seen.pop("figures", {})))
    return Measured(name, seconds, figures, **seen)


def _run(command: list[str], cwd: Path, env: dict[str, str], limit_s: float) -> tuple[int | None, str]:
    """Its exit status, None where its time ran out, and what it said. No process of its group is left behind."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
        status: int | None = None
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _end(process)
        said.seek(0)
        return status, said.read()


def _end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # its own children end as its contexts do
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
