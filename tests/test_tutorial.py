"""docs/tutorial.md: every command of it, in order, on a tiny model and a simulated strong one."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.running import BUNDLED_SEEDS, codeclm

NEEDED = ("torch", "trl", "peft", "transformers", "accelerate", "fastapi", "uvicorn", "openai")
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(any(find_spec(name) is None for name in NEEDED), reason=f"needs {', '.join(NEEDED)}"),
]
ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "tutorial.md").read_text()
# In a process of its own: torch would stay in this one, and every later command is forked from it.
MAKE_WEIGHTS = """
import sys
from pathlib import Path
from tests.tiny_model import make_tiny_model
make_tiny_model(Path(sys.argv[1]), context=2048, tied=False)
"""
BASE = "Qwen/Qwen2.5-0.5B-Instruct"
# Two examples, two items to test on, and a few tokens an answer: the commands are the page's own.
SMALL = {
    "size": 2,
    "method": {"pool": 0, "iterations": 1, "threshold": 0, "instructions_per_entry": 2, "answer_temperature": 0},
    "training": {"preset": "lora", "epochs": 1, "batch": 2, "max_length": 1024},
}


def commands() -> list[list[str]]:
    lines = re.findall(r"^\$ (codeclm .+)$", TEXT, re.MULTILINE)
    return [shlex.split(line)[1:] for line in lines]


def blocks() -> list[dict[str, Any]]:
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]


def small(values: dict[str, Any], weights: Path) -> dict[str, Any]:
    """The page's config for the tiny model."""
    models = dict(values["models"])
    if "strong" in models:
        models["strong"] = {"model": "strong", "base_url": "simulator", "price": {"input": 1, "output": 2}}
    for owner, name in ((models, "target"), (models.get("candidates", {}), "tuned")):
        if name in owner:
            served = owner[name]["serve"]["model"].replace(BASE, str(weights))
            serve = {"engine": "transformers", "model": served, "options": ["--device", "cpu"]}
            owner[name] = {"serve": serve, "max_tokens": 8, "max_in_flight": 2, "retries": 1}
    return values | {"models": models}


def test_every_command_runs_in_order(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    subprocess.run([sys.executable, "-c", MAKE_WEIGHTS, weights], cwd=ROOT, check=True)
    seeds = BUNDLED_SEEDS.read_text().splitlines(keepends=True)[:4]
    (tmp_path / "items.jsonl").write_text("".join(seeds))
    whole, candidates = blocks()
    config = small(whole, weights) | SMALL
    environment = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    ran = []
    for command in commands():
        if "--candidate" in command:
            config["models"] |= small(candidates, weights)["models"]
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        done = codeclm(*[part.replace(BASE, str(weights)) for part in command], cwd=tmp_path, env=environment)
        # A model of random weights never ends an answer, and `check` is right to say so.
        babbles = "1 to mend before a run" in done.out and "does not end by itself" in done.out
        assert done.status == 0 or (command[0] == "check" and babbles), (command, done)
        ran.append(command[0])
    assert ran == [
        "evaluate", "evaluate", "check", "plan", "run", "audit", "export", "train", "evaluate", "align",
    ]  # fmt: skip
    assert (tmp_path / "runs" / "my-task" / "tuned" / "adapter_config.json").exists()
    assert (tmp_path / "runs" / "aligned" / "alignment.json").exists()
    assert "tuned" in (tmp_path / "runs" / "my-task" / "evaluation.json").read_text()


def test_the_extras_it_installs_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    [named] = re.findall(r"pip install 'codeclm\[(.*?)\]'", TEXT)
    for extra in named.split(","):
        assert f"\n{extra} = [" in project
