"""Real runs against real simulator processes: what the benchmarks of failures share."""

import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

SEEDS = Path(__file__).resolve().parent.parent / "src" / "codeclm" / "bundled" / "seeds.jsonl"
CODECLM = [sys.executable, "-c", "from codeclm.cli.app import main; main()"]


@contextmanager
def simulator(**options: Any) -> Iterator[str]:
    """The base URL of a `codeclm simulate` process with these options."""
    settings = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    command = [*CODECLM, "simulate", "--port", "0", *settings]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().split()[-1]
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield base_url
        finally:
            process.terminate()


def stats(base_url: str) -> dict[str, Any]:
    """What the server counted."""
    with urllib.request.urlopen(f"{base_url.removesuffix('/v1')}/stats") as response:
        return dict(json.load(response))


def write_config(folder: Path, base_url: str, *, size: int, seeds: Path = SEEDS, **endpoint: Any) -> Path:
    """A config for the simulated strong and target models; ``endpoint`` are further settings of both."""
    models = {name: {"model": name, "base_url": base_url} | endpoint for name in ("strong", "target")}
    folder.mkdir(parents=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"seeds": str(seeds), "size": size, "run_dir": "run", "models": models}))
    return path


def start(config: Path) -> subprocess.Popen[bytes]:
    """Start `codeclm run`, silently."""
    return subprocess.Popen([*CODECLM, "run", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finish(config: Path) -> Path:
    """Run a config to its end; its run directory."""
    done = subprocess.run([*CODECLM, "run", str(config)], capture_output=True, text=True, env=dict(os.environ))
    if done.returncode:
        raise RuntimeError(f"codeclm run ended with {done.returncode}: {done.stderr}")
    return config.parent / "run"


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run directory."""
    return dict(json.loads((folder / "manifest.json").read_bytes()))


def recorded(folder: Path) -> int:
    """How many calls are in a finished run's journal."""
    return sum(row["calls"] for row in manifest(folder)["calls"])
