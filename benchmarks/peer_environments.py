"""The environments of the peer tools, each with its own pins, made by pip on first use (which needs a network)."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / "build" / "peers"


@dataclass(frozen=True)
class Worker:
    """A script to measure and the interpreter that runs it; `packages` are only reported."""

    name: str
    python: Path
    script: Path
    env: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """A peer tool: what to install, what to run, and the settings of its environment variables.

    Besides the tool, the packages that decide its figures are pinned, and what it needs but does not ask for.
    """

    requirements: tuple[str, ...]
    script: Path
    env: Mapping[str, str]


PEERS = {
    "curator": Peer(
        ("bespokelabs-curator==0.1.31", "litellm==1.83.7", "aiohttp==3.13.5", "datasets==3.6.0"),
        HERE / "peer_workers" / "curator_worker.py",
        {"TELEMETRY_ENABLED": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    ),
    "distilabel": Peer(
        ("distilabel[openai]==1.5.3", "openai==3.52.0", "httpx2==2.16.2", "pydantic==2.14.3", "requests==2.34.2"),
        HERE / "peer_workers" / "distilabel_worker.py",
        {"DISTILABEL_LOG_LEVEL": "WARNING"},
    ),
}


def is_built(name: str, cache: Path = CACHE) -> bool:
    """Whether the peer's environment is there, with its pins of today."""
    marker = cache / name / "requirements.txt"
    return marker.exists() and marker.read_text() == "\n".join(PEERS[name].requirements) + "\n"


def make_environment(name: str, *, cache: Path = CACHE, python: str = sys.executable) -> Worker:
    """The peer's worker in its own environment, built where it is not there or its pins have changed."""
    peer, home = PEERS[name], cache / name
    interpreter, marker = home / "bin" / "python", home / "requirements.txt"
    if not is_built(name, cache):
        print(f"{name}: building {home}", file=sys.stderr)
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(home)], check=True)
        subprocess.run([str(interpreter), "-m", "pip", "install", "--quiet", *peer.requirements], check=True)
        marker.write_text("\n".join(peer.requirements) + "\n")
    listing = subprocess.run(
        [str(interpreter), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"],
        check=True,
        capture_output=True,
        text=True,
    )
    installed = {item["name"].lower(): item["version"] for item in json.loads(listing.stdout)}
    heavy = [package for package in installed if package == "torch" or package.startswith("nvidia-")]
    if heavy:
        raise RuntimeError(f"{name} brought {', '.join(heavy)}: its pins need another look")
    pinned = [re.split(r"[=\[]", requirement)[0] for requirement in peer.requirements]
    return Worker(name, interpreter, peer.script, peer.env, {package: installed[package] for package in pinned})
