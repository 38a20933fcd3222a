"""Running codeclm the way users do: the real command, against a real simulator process, in a real run directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from tests import warm

SHARED_DATA = Path(os.environ.get("CODECLM_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
SEEDS_175 = SHARED_DATA / "self_instruct_seed_175.jsonl"
BUNDLED_SEEDS = Path(__file__).parents[1] / "src" / "codeclm" / "bundled" / "seeds.jsonl"
CODECLM = [sys.executable, "-c", "from codeclm.cli.app import main; main()"]


class SimulatorProcess:
    """A `codeclm simulate` process on a free port."""

    def __init__(self, *settings: str) -> None:
        options = [part for setting in settings for part in ("--set", setting)]
        self._process = subprocess.Popen(
            [*CODECLM, "simulate", "--port", "0", *options], stdout=subprocess.PIPE, text=True, env=_environment()
        )
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().split()[-1]
        # Nothing may ever block the server on a full pipe.
        threading.Thread(target=self._process.stdout.read, daemon=True).start()

    def stats(self) -> dict[str, Any]:
        """What the server counted."""
        with urllib.request.urlopen(f"{self.base_url[:-3]}/stats") as response:
            return dict(json.load(response))

    def reset(self) -> None:
        """Begin to count anew."""
        urllib.request.urlopen(urllib.request.Request(f"{self.base_url[:-3]}/stats/reset", method="POST")).close()

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def simulator_process(*settings: str) -> Iterator[SimulatorProcess]:
    """A simulator for the length of a test."""
    simulator = SimulatorProcess(*settings)
    try:
        yield simulator
    finally:
        simulator.stop()


def write_config(folder: Path, base_url: str, **values: Any) -> Path:
    """A config in ``folder`` for simulated models at ``base_url``; ``values`` override and extend it."""
    in_flight = values.pop("max_in_flight", 16)
    models = {
        name: {"model": name, "base_url": base_url, "max_in_flight": in_flight, "retries": 2}
        for name in ("strong", "target")
    }
    config = {"seeds": str(BUNDLED_SEEDS), "size": 20, "run_dir": "run", "models": models} | values
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def codeclm(*arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> Finished:
    """Run a codeclm command to its end, in a process of its own, which `tests.warm` may have started."""
    environment = _environment() | (env or {})
    warm_done = warm.command([*map(str, arguments)], cwd or Path.cwd(), environment)
    if warm_done is not None:
        return Finished(*warm_done)
    command = [*CODECLM, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    return Finished(done.returncode, done.stdout, done.stderr)


class Finished:
    """A command that has ended: its status and what it printed, with line breaks of wrapping taken out."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"exit status {self.status}\n{self.out}\n{self.err}"

    @property
    def error(self) -> str:
        """Standard error as one line."""
        return " ".join(self.err.split())


def run_until(
    config: Path,
    reached: Callable[[], bool],
    number: signal.Signals,
    *,
    said: Path | None = None,
    command: Sequence[str] = ("run",),
) -> int:
    """Start `codeclm run`, send it a signal as soon as ``reached`` says so, and return its exit status.

    What it prints goes to the file ``said``. ``command`` is another command than run, with its options.
    """
    with open(said or os.devnull, "wb") as output:
        process = subprocess.Popen(
            [*CODECLM, *command, str(config)], stdout=output, stderr=subprocess.STDOUT, env=_environment()
        )
        while process.poll() is None:
            if reached():
                process.send_signal(number)
                break
            # Asked without a pause, the server would work for nobody else.
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.005)
        return process.wait()


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run directory."""
    return dict(json.loads((folder / "manifest.json").read_bytes()))


def same_bytes(folders: Sequence[Path], name: str = "examples.jsonl") -> bool:
    """Whether a file is the same in all run directories, and not empty."""
    contents = {(folder / name).read_bytes() for folder in folders}
    return len(contents) == 1 and bool(contents.pop())


def _environment() -> dict[str, str]:
    return os.environ | {"COLUMNS": "100", "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
